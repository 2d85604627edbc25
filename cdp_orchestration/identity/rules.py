"""The identity rules (`vars: identity`) and the operators' overrides: read, and refused by name where they are wrong."""

import csv
import re
from pathlib import Path
from typing import Any

import yaml

from cdp_orchestration.errors import StopAndTell
from cdp_orchestration.home import PROJECT_ROOT

OVERRIDES = Path("dbt_project") / "seeds" / "identity_overrides.csv"
OVERRIDE_COLUMNS = ["action", "a_type", "a_value", "b_type", "b_value", "decided_by", "reason"]
KEYS = {"identifiers", "calling_code", "blocked_values", "blocked_patterns", "blocked"}
RULE_KEYS = {"priority", "limit", "normalise"}
Identifier = tuple[str, str]


def identity_rules() -> dict[str, Any]:
    """`vars: identity` of dbt_project.yml, checked."""
    variables = yaml.safe_load((PROJECT_ROOT / "dbt_project.yml").read_text()).get("vars") or {}
    rules: dict[str, Any] = variables.get("identity") or {}
    check_rules(rules, "dbt_project.yml: vars: identity")
    return rules


def check_rules(rules: Any, where: str) -> None:
    """Raises StopAndTell that names the place, the rule and the remedy."""

    def wrong(field: str, problem: str) -> StopAndTell:
        return StopAndTell(f"{where}: {field}: {problem}")

    if not isinstance(rules, dict):
        raise StopAndTell(f"{where}: must be a mapping with `identifiers`.")
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
        if rule.get("normalise") not in (None, "lower", "phone"):
            raise wrong(f"{field}: normalise", f"must be lower or phone (or left out), not {rule['normalise']!r}.")
    if not re.fullmatch(r"\d{0,4}", str(rules.get("calling_code") or "")):
        raise wrong("calling_code", f'must be digits in quotes, as "49", not {rules["calling_code"]!r}.')
    for key in ("blocked_values", "blocked_patterns"):
        if not isinstance(rules.get(key) or [], list):
            raise wrong(key, "must be a list.")
    for pattern in rules.get("blocked_patterns") or []:
        try:
            re.compile(str(pattern))
        except re.error as error:
            raise wrong("blocked_patterns", f"{pattern!r} is no regular expression ({error}).") from None
    blocked = rules.get("blocked") or {}
    if not isinstance(blocked, dict) or not all(isinstance(values, list) for values in blocked.values()):
        raise wrong("blocked", 'must map a type to a list of values, as {email: ["test@example.com"]}.')
    for name in blocked:
        if name not in types:
            raise wrong(f"blocked: {name}", f"is not among the identifiers. Declared: {', '.join(types)}.")


def check_overrides(rules: dict[str, Any], file: Path | None = None) -> int:
    """Number of decisions. Raises StopAndTell that names the line and the remedy."""
    path = file or PROJECT_ROOT / OVERRIDES
    with path.open(newline="", encoding="utf-8") as stream:
        lines = csv.DictReader(stream)
        if list(lines.fieldnames or []) != OVERRIDE_COLUMNS:
            raise StopAndTell(f"{OVERRIDES}: the first line must be {','.join(OVERRIDE_COLUMNS)}")
        rows = list(lines)
    group: dict[Identifier, set[Identifier]] = {}
    forbidden: list[tuple[int, Identifier, Identifier]] = []
    for number, row in enumerate(rows, start=2):
        where = f"{OVERRIDES}, line {number}"
        if row["action"] not in ("cut", "forbid", "force"):
            raise StopAndTell(f"{where}: action must be cut, forbid or force, not {row['action']!r}.")
        for side in ("a", "b"):
            if row[f"{side}_type"] not in rules["identifiers"]:
                raise StopAndTell(
                    f"{where}: {side}_type {row[f'{side}_type']!r} is not declared. "
                    f"Declared: {', '.join(rules['identifiers'])}."
                )
            if not (row[f"{side}_value"] or "").strip():
                raise StopAndTell(f"{where}: {side}_value is empty.")
        a, b = spelled(rules, row["a_type"], row["a_value"]), spelled(rules, row["b_type"], row["b_value"])
        if a == b:
            raise StopAndTell(f"{where}: both sides are the same identifier.")
        if row["action"] == "forbid":
            forbidden.append((number, a, b))
        if row["action"] == "force":
            joined = group.get(a, {a}) | group.get(b, {b})
            for member in joined:
                group[member] = joined
    for number, a, b in forbidden:
        if b in group.get(a, ()):
            raise StopAndTell(
                f"{OVERRIDES}, line {number}: forbids a pair that `force` lines make one person: remove either."
            )
    return len(rows)


def spelled(rules: dict[str, Any], identifier_type: str, value: str) -> Identifier:
    """An identifier as the warehouse spells it (macros/identity.sql: normalised_identifier)."""
    text = value.strip()
    normalise = (rules["identifiers"].get(identifier_type) or {}).get("normalise")
    if normalise == "lower":
        text = text.lower()
    elif normalise == "phone":
        international = re.sub(r"[ \-./()\u00a0\t]", "", text.replace("(0)", ""))
        bare = re.sub(r"[ \-./()\u00a0\t]", "", text)
        if text.startswith("+"):
            text = international.replace("+", "")
        elif bare.startswith("00"):
            text = international[2:]
        elif bare.startswith("0") and rules.get("calling_code"):
            text = f"{rules['calling_code']}{bare[1:]}"
        else:
            text = bare
    return identifier_type, text
