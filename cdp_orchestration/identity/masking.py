"""Identifiers as people may see them who need not write to anybody: addresses and numbers masked. And who can be reached how."""

import re
from typing import Any

# A declared type is a device's by its name: android_id, ios_idfa, device_id.
_DEVICE = re.compile(r"(?:^|_)(?:android|ios|idfa|idfv|gaid|aaid|device)(?:_|$)", re.IGNORECASE)
REACHES = ("email", "phone", "device")


def types_that_reach(rules: dict[str, Any]) -> dict[str, list[str]]:
    """The identifier types that are an e-mail address, a phone number (the rules say so by `normalise`) or a device's id."""
    found: dict[str, list[str]] = {reach: [] for reach in REACHES}
    for name, rule in rules["identifiers"].items():
        if rule.get("normalise") in ("email", "phone"):
            found[rule["normalise"]].append(name)
        elif _DEVICE.search(name):
            found["device"].append(name)
    return found


def masked(rules: dict[str, Any], identifier_type: str, value: str) -> str:
    """j…@example.com, …42; what is of another type stays, unless it is an address all the same."""
    normalise = (rules["identifiers"].get(identifier_type) or {}).get("normalise")
    if normalise == "phone":
        return f"…{value[-2:]}" if len(value) > 4 else "…"
    if normalise == "email" or "@" in value:
        name, at, domain = value.rpartition("@")
        return f"{(name or domain)[:1]}…{at}{domain if at else ''}"
    return value


def reach_columns(rules: dict[str, Any]) -> str:
    """SQL: for each way to reach a person a column of 0 or 1, over grouped rows of identity.identifiers."""
    columns = []
    for reach, types in types_that_reach(rules).items():
        listed = ", ".join(f"'{name}'" for name in types) or "''"  # a type's name has no quotes
        columns.append(f"max(case when identifier_type in ({listed}) then 1 else 0 end) as has_{reach}")
    return ", ".join(columns)
