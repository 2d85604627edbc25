"""dbt's manifest of the project: what models, sources and syncs there are."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cdp_orchestration.home import PROJECT_ROOT, Home

PARSED_FROM = "parsed_from"  # beside the manifest: the state of the project that it was made from


def current_manifest(home: Home) -> dict[str, Any]:
    """The manifest in force. dbt parses first where it is missing or stale; raises NeedsAPerson in dbt's own words."""
    file, parsed_from = home.dbt_target / "manifest.json", home.dbt_target / PARSED_FROM
    if not (file.exists() and parsed_from.exists() and parsed_from.read_text() == state_of(PROJECT_ROOT)):
        from cdp_orchestration.project.parse import dbt_project  # Dagster and dbt take seconds to import

        file = Path(dbt_project(home).manifest_path)
    return dict(json.loads(file.read_text()))


def state_of(root: Path, place: Path | None = None) -> str:
    """md5 hex over what the manifest of the checkout `root` is made from, and over where it is (`place`, if it is to move).

    Contents, not times: the files of an older checkout, of an image or of a copy may be older than the manifest, and others all
    the same.
    """
    digest = hashlib.md5(str(place or root).encode())
    inputs = [root / "dbt_project.yml", root / "profiles" / "profiles.yml"]
    inputs += (path for path in (root / "dbt_project").rglob("*") if path.suffix in (".sql", ".yml", ".csv"))
    for path in sorted(inputs):
        digest.update(f"\n{path.relative_to(root)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


AUDIENCES, ABOUT = "5_audiences", "about"  # the folder of audiences; what stands in about/ tells of all of them


def audiences(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The models of audiences by name, sorted."""
    found = models(manifest, AUDIENCES)
    return {name: found[name] for name in sorted(found) if ABOUT not in found[name]["fqn"][:-1]}


def audience_files(root: Path) -> list[Path]:
    """The models of audiences in the checkout `root`, parsed or not, sorted by name."""
    folder = root / "dbt_project" / "models" / AUDIENCES
    files = (file for file in folder.rglob("*.sql") if ABOUT not in file.relative_to(folder).parts[:-1])
    return sorted(files, key=lambda file: (file.stem, file))


def models(manifest: dict[str, Any], folder: str) -> dict[str, dict[str, Any]]:
    """Models of one layer's folder (`5_audiences`, say) by name."""
    return {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and folder in node["fqn"]
    }


def observing(manifest: dict[str, Any]) -> set[str]:
    """The audiences that ask who entered or left another one (tag depends_on_observations), or that read one which does: they
    depend on what builds saw, not on what landed alone."""
    nodes = manifest["nodes"]
    found = {key for key, node in nodes.items() if "depends_on_observations" in (node.get("tags") or [])}
    grew = bool(found)
    while grew:
        more = {key for key, node in nodes.items() if found & set((node.get("depends_on") or {}).get("nodes") or [])}
        grew = not more <= found
        found |= more
    return {nodes[key]["name"] for key in found} & set(audiences(manifest))
