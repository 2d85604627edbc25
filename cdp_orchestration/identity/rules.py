"""The identity rules (`vars: identity`) and the operators' overrides: read, and refused by name where they are wrong."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import duckdb

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT
from cdp_orchestration.identity.spelling import spelled
from cdp_orchestration.project.variables import project_variables

OVERRIDES = Path("dbt_project") / "seeds" / "identity_overrides.csv"
OVERRIDE_COLUMNS = ["action", "a_type", "a_value", "b_type", "b_value", "decided_by", "reason"]
KEYS = {"identifiers", "calling_code", "blocked_values", "blocked_patterns", "blocked"}
RULE_KEYS = {"priority", "limit", "normalise"}
Identifier = tuple[str, str]


def identity_rules() -> dict[str, Any]:
    """`vars: identity` of dbt_project.yml, checked."""
    rules: dict[str, Any] = project_variables().get("identity") or {}
    check_rules(rules, "dbt_project.yml: vars: identity")
    return rules


def check_rules(rules: Any, where: str) -> None:
    """Raises NeedsAPerson that names the place, the rule and the remedy."""

    def wrong(field: str, problem: str) -> NeedsAPerson:
        return NeedsAPerson(f"{where}: {field}: {problem}")

    if not isinstance(rules, dict):
        raise NeedsAPerson(f"{where}: must be a mapping with `identifiers`.")
    for key in rules.keys() - KEYS:
        raise wrong(key, f"is no rule. Known: {', '.join(sorted(KEYS))}.")
    types = rules.get("identifiers")
    if not isinstance(types, dict) or not types:
        raise wrong("identifiers", "must name at least one type, as `user_id: {priority: 1, limit: 1}`.")
    for name, rule in types.items():
        field = f"identifiers: {name}"
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", name):
            raise wrong(field, "a type's name is letters, digits, _ . and -, and starts with a letter.")
        if not isinstance(rule, dict):
            raise wrong(field, "must be a mapping, as {priority: 1, limit: 1}.")
        for key in rule.keys() - RULE_KEYS:
            raise wrong(f"{field}: {key}", f"is no rule. Known: {', '.join(sorted(RULE_KEYS))}.")
        for key, required in (("priority", True), ("limit", False)):
            value = rule.get(key)
            if value is None and not required:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000:
                raise wrong(f"{field}: {key}", f"must be a whole number from 1 up, not {value!r}.")
        if rule.get("normalise") not in (None, "lower", "email", "phone"):
            raise wrong(
                f"{field}: normalise", f"must be lower, email or phone (or left out), not {rule['normalise']!r}."
            )
    code = rules.get("calling_code") or ""
    if not isinstance(code, str) or not re.fullmatch(r"([1-9]\d{0,3})?", code):
        raise wrong("calling_code", f'must be digits in quotes, as "49", not {rules["calling_code"]!r}.')
    blocked = rules.get("blocked") or {}
    if not isinstance(blocked, dict) or None in blocked.values():
        raise wrong("blocked", 'must map a type to a list of values, as {email: ["test@example.com"]}.')
    # A block list is a list of values, or a mapping of each to its reason.
    lists = {key: rules.get(key) for key in ("blocked_values", "blocked_patterns")}
    for field, values in {**lists, **{f"blocked: {name}": values for name, values in blocked.items()}}.items():
        if not isinstance(values or [], list | dict):
            raise wrong(field, 'must be a list, as ["null", "n/a"], or map each value to a reason, as {"n/a": forms}.')
        for value in values or []:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise wrong(field, f"holds {value!r}, which is no text: put it in quotes.")
    with duckdb.connect() as engine:  # one for all patterns: opening it takes longer than asking it
        for pattern in rules.get("blocked_patterns") or []:
            if problem := _pattern_problem(str(pattern), engine):
                raise wrong("blocked_patterns", f"{pattern!r} {problem}.")
    for name in blocked:
        if name not in types:
            raise wrong(f"blocked: {name}", f"is not among the identifiers. Declared: {', '.join(types)}.")


def _pattern_problem(pattern: str, engine: duckdb.DuckDBPyConnection) -> str:
    """What is wrong with a pattern. It must do in every engine: look-around, say, is in Python's dialect and in few warehouses'."""
    if not pattern:
        return "is empty, and would block everything"
    try:
        re.compile(pattern)
        engine.execute("select regexp_matches('', ?)", [pattern]).fetchall()
    except (re.error, duckdb.Error) as error:
        return f"is no regular expression that warehouses know ({error})"
    return ""


def decisions(file: Path | None = None) -> list[dict[str, str]]:
    """The operators' decisions, one for each line. Raises NeedsAPerson where the file is no such table."""
    path = file or PROJECT_ROOT / OVERRIDES
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise NeedsAPerson(f"{OVERRIDES}: is not UTF-8 (byte {error.start}): save it as plain UTF-8.") from None
    if text.startswith("\ufeff"):
        raise NeedsAPerson(f"{OVERRIDES}: begins with a byte order mark: save it as plain UTF-8, without one.")
    lines = csv.DictReader(io.StringIO(text, newline=""))
    if list(lines.fieldnames or []) != OVERRIDE_COLUMNS:
        raise NeedsAPerson(f"{OVERRIDES}: the first line must be {','.join(OVERRIDE_COLUMNS)}")
    rows = list(lines)
    for number, row in enumerate(rows, start=2):
        count = len(OVERRIDE_COLUMNS) + len(row.get(None) or ())
        count -= sum(value is None for value in row.values())
        if count != len(OVERRIDE_COLUMNS):
            raise NeedsAPerson(
                f"{OVERRIDES}, line {number}: has {count} values, not {len(OVERRIDE_COLUMNS)}: "
                "put one that holds a comma in double quotes, and leave none out."
            )
    return rows


def check_overrides(rules: dict[str, Any], file: Path | None = None) -> int:
    """Number of decisions. Raises NeedsAPerson that names the line and the remedy."""
    rows = decisions(file)
    group: dict[Identifier, set[Identifier]] = {}
    forbidden: list[tuple[int, Identifier, Identifier]] = []
    for number, row in enumerate(rows, start=2):
        where = f"{OVERRIDES}, line {number}"
        if row["action"] not in ("cut", "forbid", "force"):
            raise NeedsAPerson(f"{where}: action must be cut, forbid or force, not {row['action']!r}.")
        for side in ("a", "b"):
            if row[f"{side}_type"] not in rules["identifiers"]:
                raise NeedsAPerson(
                    f"{where}: {side}_type {row[f'{side}_type']!r} is not declared. "
                    f"Declared: {', '.join(rules['identifiers'])}."
                )
            if not spelled(rules, row[f"{side}_type"], row[f"{side}_value"] or "")[1]:
                raise NeedsAPerson(f"{where}: {side}_value is empty.")
        a, b = spelled(rules, row["a_type"], row["a_value"]), spelled(rules, row["b_type"], row["b_value"])
        if a == b:
            raise NeedsAPerson(f"{where}: both sides are the same identifier.")
        if row["action"] == "forbid":
            forbidden.append((number, a, b))
        if row["action"] == "force":
            joined = group.get(a, {a}) | group.get(b, {b})
            for member in joined:
                group[member] = joined
    for number, a, b in forbidden:
        if b in group.get(a, ()):
            raise NeedsAPerson(
                f"{OVERRIDES}, line {number}: forbids a pair that `force` lines make one person: remove either."
            )
    return len(rows)
