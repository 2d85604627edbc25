"""Protected sources (`vars: sources: protection`): whose messages found and link nobody, and what that means in words."""

from typing import Any

from cdp_orchestration.project.variables import project_variables

# The rules of identity.refusals that stand for a source's protection, and how they go on after "message m of source s".
WORDS = {
    "update_only_no_match": "(update_only) matched nobody at its arrival",
    "update_only": "(update_only) belongs to whom another of its identifiers named, and adds none",
    "read_only": "(read_only) belongs to nobody, whatever it carries",
}


def declared_sources() -> dict[str, Any]:
    """`vars: sources` of dbt_project.yml as it stands there; dbt refuses what is wrong in it (macro source_rules)."""
    return project_variables().get("sources") or {}


def protections(declared: dict[str, Any] | None = None) -> dict[str, str]:
    """source: update_only or read_only, of those in force or of `declared` ones. Ordinary sources are left out."""
    rules = declared_sources() if declared is None else declared
    found = {name: (rule or {}).get("protection") for name, rule in rules.items()}
    return {name: level for name, level in found.items() if level in ("update_only", "read_only")}


def unknown_sources(known: set[str]) -> list[str]:
    """A problem for each source in `vars: sources` that there is not: a typo would protect nothing, silently."""
    return [
        f"dbt_project.yml: vars.sources: {name}: there is no such source: write one of {', '.join(sorted(known))}, "
        "or remove the line."
        for name in sorted(map(str, declared_sources()))
        if name not in known
    ]
