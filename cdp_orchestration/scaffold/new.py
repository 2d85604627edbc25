"""Makes the files of something new, whole or not at all, and says what to edit next. Overwrites nothing."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from cdp_orchestration.connections import connections
from cdp_orchestration.destinations.base import Destination
from cdp_orchestration.disk import whole_file
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.project.layers import SCHEMAS
from cdp_orchestration.project.manifest import audience_files
from cdp_orchestration.scaffold import templates
from cdp_orchestration.scaffold.kinds import defs_of

MODELS = Path("dbt_project") / "models"
DEFS = Path("cdp_orchestration") / "defs"
ARRIVALS = MODELS / "1_staging" / "arrivals.sql"
LONGEST = 40  # PostgreSQL cuts names at 63, and dbt adds to them
# The list of streams, as long as nothing else stands in it.
_STREAMS = re.compile(r"(\{% set streams = \{\n)((?:    \('\w+', '\w+'\): ref\('\w+'\),\n)*)(?=\} %\}\n)")


@dataclass
class Made:
    """The files below the project, and what to do now. `changed` holds files that were there and have a line more."""

    files: dict[Path, str] = field(default_factory=dict)
    changed: dict[Path, str] = field(default_factory=dict)
    next: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wish:
    """What is asked for. `kind` and `stream` are a source's or destination's, `audience` and `destination` a sync's."""

    name: str
    kind: str | None = None
    stream: str | None = None
    audience: str | None = None
    destination: str | None = None


def new(root: Path, what: str, wish: Wish) -> Made:
    """Write what is wished into the project at `root`. Raises NeedsAPerson, and then nothing is written."""
    if what not in _MAKERS:
        raise NeedsAPerson(f"{what}: there is no such thing to add. Use one of {', '.join(_MAKERS)}.")
    maker, options = _MAKERS[what]
    for option in ("kind", "stream", "audience", "destination"):
        if getattr(wish, option) is not None and option not in options:
            raise NeedsAPerson(f"--{option} does not go with {what}: leave it out.")
    _check_name(wish.name, what)
    made = maker(root, wish)
    for file in made.files:
        if (root / file).exists():
            raise NeedsAPerson(f"{file} is there already: choose another name, or edit it.")
    _write(root, made)
    return made


def _attribute(root: Path, wish: Wish) -> Made:
    made = _model(root, "4_attributes", wish.name, templates.ATTRIBUTE_SQL, templates.ATTRIBUTE_YML)
    made.next.append("Say in the .sql what counts and since when, and the same in the description of the .yml.")
    made.next.append("`cdp check` tells what is missing; `cdp run` builds it.")
    return made


def _audience(root: Path, wish: Wish) -> Made:
    made = _model(root, "5_audiences", wish.name, templates.AUDIENCE_SQL, templates.AUDIENCE_YML)
    made.next.append("Say in the .sql who is a member, and the same in the description of the .yml.")
    made.next.append(f"`cdp preview {wish.name}` shows who that is, before `cdp run` records entries and exits.")
    return made


def _sync(root: Path, wish: Wish) -> Made:
    audiences = [file.stem for file in audience_files(root)]
    destinations = sorted(file.parent.name for file in (root / DEFS / "destinations").glob("*/defs.yaml"))
    said = (
        dict(zip(("audience", "destination"), wish.name.rsplit("_to_", 1), strict=False)) if "_to_" in wish.name else {}
    )
    values = {}
    for what, known in (("audience", audiences), ("destination", destinations)):
        given = getattr(wish, what) or said.get(what)
        if given not in known:
            which = f"'{given}' is no {what}" if given else f"the name does not say which {what}"
            raise NeedsAPerson(
                f"sync {wish.name}: {which}: call it <audience>_to_<destination>, or give --{what}. There are: "
                f"{', '.join(known) or f'none, so begin with `cdp new {what} NAME`'}."
            )
        values[what] = str(given)
    kind = connections("destinations", root / DEFS)[values["destination"]].connector
    yml = _fitted(templates.SYNC_YML, kind)
    made = _model(root, "6_activation", wish.name, templates.SYNC_SQL, yml, **values)
    made.next.append(
        f"Say in the .sql which columns {values['destination']} should get, and in the .yml under `sync` the consent that allows "
        "it and the identifiers that it knows people by."
    )
    made.next.append(
        f"`cdp run --no-deliver` builds it and sends nothing; the next `cdp run` sends it to {values['destination']}."
    )
    return made


def _fitted(yml: str, kind: type[Destination]) -> str:
    """The twin of a sync with what the destination's kind asks of one: a mode and an identifier that it has, its target."""
    target = {name: "change me" for name, of in kind.Target.model_fields.items() if of.is_required()}
    if "mirror" not in kind.modes:
        yml = yml.replace("mode: mirror", f"mode: {kind.modes[0]}")
    if kind.identifiers and "email" not in kind.identifiers:
        yml = yml.replace("identifiers: [email]", f"identifiers: {{{next(iter(kind.identifiers))}: profile_id}}")
    if target:
        yml = yml.replace("          mode:", f"          target: {json.dumps(target)}\n          mode:")
    return yml


def _source(root: Path, wish: Wish) -> Made:
    stream = wish.stream or "records"
    _check_name(stream, "stream")
    for text in (wish.name, stream):
        if "__" in text:
            raise NeedsAPerson(f"{text}: two underscores part source and stream in the names of models: use one.")
    if wish.name in ("cdp", "landing", *SCHEMAS):
        raise NeedsAPerson(f"{wish.name}: is a name of the platform's own: choose another.")
    staged = list((root / MODELS).rglob(f"stg_{wish.name}__*"))
    if (root / DEFS / "sources" / wish.name).exists() or staged:
        there = staged[0].relative_to(root) if staged else DEFS / "sources" / wish.name
        raise NeedsAPerson(f"source {wish.name}: {there} is there already: choose another name, or edit it.")
    model = f"stg_{wish.name}__{stream}"
    defs = DEFS / "sources" / wish.name / "defs.yaml"
    made = Made({defs: defs_of("sources", wish.kind or "files", wish.name, stream, str(defs))})
    staging = _model(
        root, "1_staging", model, templates.STAGING_SQL, templates.STAGING_YML, source=wish.name, stream=stream
    )
    made.files |= staging.files
    line = f"    ('{wish.name}', '{stream}'): ref('{model}'),\n"
    listed = _with_stream((root / ARRIVALS).read_text(), line) if (root / ARRIVALS).exists() else None
    made.next.append(f"Say in {defs} where the records are, and in {MODELS / '1_staging' / model}.sql what they mean.")
    if listed:
        made.changed[ARRIVALS] = listed
    else:
        made.next.append(
            f"Add this line to the list of streams in {ARRIVALS}, which could not be read:\n{line.rstrip()}"
        )
    made.next.append("`cdp check` tells what is missing; the next `cdp run` pulls, and rebuilds everything once.")
    return made


def _destination(root: Path, wish: Wish) -> Made:
    folder = DEFS / "destinations" / wish.name
    if (root / folder).exists():
        raise NeedsAPerson(f"destination {wish.name}: {folder} is there already: choose another name, or edit it.")
    defs = folder / "defs.yaml"
    made = Made({defs: defs_of("destinations", wish.kind or "webhook", wish.name, "", str(defs))})
    made.next.append(f"Say in {defs} where rows go; put secrets into `.env`, under the names that stand there.")
    made.next.append(f"`cdp new sync <audience>_to_{wish.name}` says what it should hold.")
    return made


_MAKERS: dict[str, tuple[Callable[[Path, Wish], Made], tuple[str, ...]]] = {
    "attribute": (_attribute, ()),
    "audience": (_audience, ()),
    "sync": (_sync, ("audience", "destination")),
    "source": (_source, ("kind", "stream")),
    "destination": (_destination, ("kind",)),
}


def _check_name(name: str, what: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(name) > LONGEST:
        raise NeedsAPerson(
            f"{name!r} is no name that a model or folder can have: use lower-case letters, digits and underscores, a letter "
            f"first, {LONGEST} at most."
        )
    if what in ("attribute", "audience", "sync"):
        with duckdb.connect() as engine:
            words = engine.execute(
                "select keyword_name from duckdb_keywords() where keyword_category in ('reserved', 'type_function')"
            ).fetchall()
        if name in {"profile_id", "user", *(word for (word,) in words)}:
            raise NeedsAPerson(f"{name!r} is a word of SQL, or a column that every model has: choose another name.")


def _model(root: Path, folder: str, name: str, sql: str, yml: str, source: str = "", **values: str) -> Made:
    """A model and its twin. Raises NeedsAPerson where the project has a model, seed or snapshot of the name."""
    for file in (root / "dbt_project").rglob("*"):
        if file.suffix in (".sql", ".csv") and file.stem == name and "macros" not in file.parts:
            raise NeedsAPerson(f"{name}: {file.relative_to(root)} is there already: choose another name, or edit it.")
    values = {"name": source or name, **values}
    at = MODELS / folder / name
    return Made(
        {
            at.with_suffix(".sql"): templates.filled(sql, **values),
            at.with_suffix(".yml"): templates.filled(yml, **values),
        }
    )


def _with_stream(arrivals: str, line: str) -> str | None:
    """The model with the stream in its list, by name; None where the list has another shape than ours."""
    found = _STREAMS.search(arrivals)
    if not found:
        return None
    lines = found[2].splitlines(keepends=True)
    place = next((number for number, other in enumerate(lines) if other > line), len(lines))
    lines.insert(place, line)
    return arrivals[: found.start(2)] + "".join(lines) + arrivals[found.end(2) :]


def _write(root: Path, made: Made) -> None:
    """All of it, or, where one file cannot be written, none."""
    before = {file: (root / file).read_bytes() for file in made.changed}
    folders = [folder for file in made.files for folder in (root / file).parents if not folder.exists()]
    try:
        for file, text in {**made.files, **made.changed}.items():
            with whole_file(root / file) as written:
                written.write(text.encode())
    except BaseException as error:
        for file in made.files:
            (root / file).unlink(missing_ok=True)
        for file, content in before.items():
            if (root / file).read_bytes() != content:
                with whole_file(root / file) as written:
                    written.write(content)
        for folder in sorted(set(folders), key=lambda each: len(each.parts), reverse=True):
            with suppress(OSError):  # it was not made, or somebody put something in
                folder.rmdir()
        if isinstance(error, PermissionError):
            raise NeedsAPerson(
                f"{error.filename}: cannot be written ({error.strerror}). Correct the permissions."
            ) from None
        raise
