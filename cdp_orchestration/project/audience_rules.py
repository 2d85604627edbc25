"""What holds for audiences beside their models (`vars: audiences`): read, and refused by name where it is wrong.

Also what dbt says too late or in too few words: two models of one name, and audiences that go round in a circle.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT
from cdp_orchestration.project.manifest import audience_files, audiences
from cdp_orchestration.project.variables import project_variables

WHERE = "dbt_project.yml: vars: audiences"
KEYS = ("priority_lists", "excluded", "jump_percent", "jump_from_members")


@dataclass(frozen=True)
class AudienceRules:
    """`priority_lists`: by name audiences, the first comes first. `excluded`: audiences or other models with a profile_id."""

    priority_lists: dict[str, list[str]] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)

    def before(self, audience: str) -> dict[str, str]:
        """Whom the audience gives way to, each with the reason, as the end of a sentence. As macros/audiences/lists.sql has it."""
        found = {}
        for name, members in self.priority_lists.items():
            if audience in members:
                for higher in members[: members.index(audience)]:
                    found[higher] = f"it stands above {audience} in the priority list {name}"
        if audience not in self.excluded:
            found |= dict.fromkeys(self.excluded, "its people are excluded from every audience")
        return found


def audience_rules(root: Path = PROJECT_ROOT) -> AudienceRules:
    """Those in force, checked against the models of the checkout. Raises NeedsAPerson."""
    given = project_variables(root).get("audiences") or {}
    files = audience_files(root)
    _check_shape(given)
    rules = AudienceRules(given.get("priority_lists") or {}, given.get("excluded") or [])
    _check_names(rules, [file.stem for file in files], {file.stem for file in _models(root)})
    return rules


def check_names_of_models(root: Path = PROJECT_ROOT) -> None:
    """Raises NeedsAPerson where two models have one name, also in other letters: one relation would be the other's."""
    known: dict[str, Path] = {}
    for file in _models(root):
        other = known.setdefault(file.stem.lower(), file)
        if other != file:
            one, two = (each.relative_to(root) for each in (other, file))
            what = "two audiences" if all("5_audiences" in each.parts for each in (one, two)) else "two models"
            raise NeedsAPerson(f"{two}: {what} of one name, the other is {one}: rename one of the files, and its .yml.")


def check_circles(manifest: dict[str, Any], rules: AudienceRules) -> None:
    """Raises NeedsAPerson where an audience needs itself to be built first: dbt would find out when it builds."""
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    done: set[str] = set()
    for node in audiences(manifest).values():
        circle = _circle_from(node["unique_id"], nodes, done)
        if circle:
            raise NeedsAPerson(_circle_in_words([nodes[key] for key in circle], rules))


def _check_shape(given: Any) -> None:
    if not isinstance(given, dict):
        raise NeedsAPerson(f"{WHERE}: must be a mapping of {', '.join(KEYS)}.")
    for key in given:
        if key not in KEYS:
            raise NeedsAPerson(f"{WHERE}: {key}: is no rule. Known: {', '.join(KEYS)}.")
    lists = given.get("priority_lists") or {}
    if not isinstance(lists, dict):
        raise NeedsAPerson(f"{WHERE}: priority_lists: must name each list, as {{winback: [vips, lapsing_customers]}}.")
    for name, listed in {
        **{f"priority_lists: {name}": each for name, each in lists.items()},
        "excluded": given.get("excluded"),
    }.items():
        if name == "excluded" and listed is None:
            continue
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            raise NeedsAPerson(f"{WHERE}: {name}: must be a list of names of models, as [vips, lapsing_customers].")
        if twice := sorted({each for each in listed if listed.count(each) > 1}):
            raise NeedsAPerson(f"{WHERE}: {name}: has {twice[0]} twice: take one out.")
    for key, nothing in (("jump_percent", True), ("jump_from_members", False)):
        _check_number(f"{WHERE}: {key}", given.get(key, 1), nothing)


def _check_number(where: str, value: Any, nothing: bool) -> None:
    if value is None and nothing:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise NeedsAPerson(
            f"{where}: must be a number above 0{', or null for never' if nothing else ''}, not {value!r}."
        )


def _check_names(rules: AudienceRules, known: list[str], models: set[str]) -> None:
    place: dict[str, str] = {}
    for name, listed in rules.priority_lists.items():
        where = f"{WHERE}: priority_lists: {name}"
        for audience in listed:
            if audience not in known:
                raise NeedsAPerson(
                    f"{where}: there is no audience {audience}. There are: {', '.join(known) or 'none'}. Correct the name, or add "
                    f"dbt_project/models/5_audiences/{audience}.sql."
                )
            if audience in rules.excluded:
                raise NeedsAPerson(
                    f"{where}: {audience} is in `excluded`, too, and would lose the people whom it keeps out of others: take it "
                    "out of one of them."
                )
            if audience in place:
                raise NeedsAPerson(
                    f"{where}: {audience} is in the list {place[audience]} already, and an audience can be in one list: take it "
                    "out of one of them."
                )
            place[audience] = name
    for model in rules.excluded:
        if model not in models:
            raise NeedsAPerson(
                f"{WHERE}: excluded: there is no model {model}. Correct the name, or add the model {model}.sql."
            )


def check_own_limits(manifest: dict[str, Any]) -> None:
    """Raises NeedsAPerson where an audience's twin says something of jumps that makes no sense."""
    for node in audiences(manifest).values():
        own = node["config"].get("meta", {}).get("audience", {})
        where = f"{Path(node['original_file_path']).with_suffix('.yml')}: config: meta: audience"
        if not isinstance(own, dict) or set(own) - {"jump_percent"}:
            raise NeedsAPerson(f"{where}: must be a mapping of jump_percent, as {{jump_percent: 20}}, not {own!r}.")
        _check_number(f"{where}: jump_percent", own.get("jump_percent", 1), nothing=True)


def _models(root: Path) -> list[Path]:
    return sorted((root / "dbt_project" / "models").rglob("*.sql"))


def _circle_from(start: str, nodes: dict[str, Any], done: set[str]) -> list[str]:
    """The first circle that is met on the way up from a model, each one reading the next; nothing where there is none."""
    path: list[str] = []
    ways = [iter([start])]
    while ways:
        key = next(ways[-1], None)
        if key is None:
            ways.pop()
            if path:
                done.add(path.pop())
        elif key in path:
            return path[path.index(key) :]
        elif key in nodes and key not in done:
            path.append(key)
            ways.append(iter(sorted(nodes[key]["depends_on"]["nodes"])))
    return []


def _circle_in_words(circle: list[dict[str, Any]], rules: AudienceRules) -> str:
    said = []
    for node, read in zip(circle, [*circle[1:], circle[0]], strict=True):
        why = rules.before(node["name"]).get(read["name"])
        reads = f"{node['original_file_path']} reads {read['name']}"
        said.append(f"{WHERE}: {node['name']} gives way to {read['name']}, as {why}" if why else reads)
    return (
        f"A circle: each of these needs the next one to be built first. {'; '.join(said)}. Take one of them out: an audience "
        "that is read by an excluded one can be in `excluded`, too."
    )
