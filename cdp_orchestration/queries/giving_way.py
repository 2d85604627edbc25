"""Whom an audience gives away: priority lists and exclusion, for questions that ask the model's own SQL."""

from typing import Any

from cdp_orchestration.project.audience_rules import audience_rules
from cdp_orchestration.warehouse import Reading


def goes_before(manifest: dict[str, Any], audience: str) -> dict[str, tuple[str, str]]:
    """By model that goes before the audience: its relation, and why it does, as the end of a sentence."""
    before = audience_rules().before(audience)
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model" and node["name"] in before]
    relations = {node["name"]: f'"{node["schema"]}"."{node["alias"]}"' for node in nodes}
    return {name: (relations[name], why) for name, why in before.items() if name in relations}


def kept_out(connection: Reading, manifest: dict[str, Any], audience: str, person: str) -> list[str]:
    """Why a person is in no case a member of the audience: a sentence without its stop for each model that holds them."""
    said = []
    for name, (relation, why) in goes_before(manifest, audience).items():
        if connection.execute(f"select 1 from {relation} where profile_id = ? limit 1", [person]).fetchone():
            said.append(f"{name} holds them, and {why}")
    return said
