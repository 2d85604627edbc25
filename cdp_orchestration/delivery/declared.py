"""Which syncs there are: the models of the activation layer, each with what its twin declares and what its destination's kind
makes of it."""

from dataclasses import replace
from typing import Any

import pydantic

from cdp_orchestration.connections import connections
from cdp_orchestration.delivery.sync import Sync, parse_sync
from cdp_orchestration.destinations.base import Destination
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.project.manifest import models

FOLDER = "6_activation"


def declared_syncs(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The models of 6_activation that say they are a sync, by name; their twins hold the declaration."""
    nodes = models(manifest, FOLDER)
    return [nodes[name] for name in sorted(nodes) if name != "deliveries"]


def read_sync(node: dict[str, Any]) -> Sync:
    """The sync that a model declares. Raises NeedsAPerson naming the file, field and remedy."""
    where = str(node.get("patch_path") or node["original_file_path"]).removeprefix("cdp://")
    meta = (node["config"].get("meta") or {}).get("sync")
    if meta is None:
        raise NeedsAPerson(
            f"{where}: model '{node['name']}' lies in {FOLDER} but declares no sync: add config.meta.sync with its "
            "destination and its consent, or move the model to another folder."
        )
    sync = parse_sync(node["name"], f"{node['schema']}.{node['alias']}", meta, where)
    known = connections("destinations")
    if sync.destination not in known:
        raise NeedsAPerson(
            f"{where}: field 'destination' names '{sync.destination}', but there is no "
            f"cdp_orchestration/defs/destinations/{sync.destination}/defs.yaml (known: {', '.join(known) or 'none'})."
        )
    return fitted(sync, known[sync.destination].connector)


def fitted(sync: Sync, kind: type[Destination]) -> Sync:
    """The sync with the formats of its destination's kind. Raises NeedsAPerson for what that kind cannot do."""

    def stop(field: str, problem: str) -> NeedsAPerson:
        return NeedsAPerson(f"{sync.where}: sync '{sync.name}': field '{field}': {problem}.")

    if sync.mode not in kind.modes:
        modes = ", ".join(kind.modes)
        raise stop("mode", f"the kind '{kind.kind}' of {sync.destination} has no mode '{sync.mode}': use {modes}")
    if kind.identifiers:
        for name in sync.identifiers:
            if name not in kind.identifiers:
                accepted = ", ".join(kind.identifiers)
                raise stop(
                    "identifiers",
                    f"the kind '{kind.kind}' knows nobody by '{name}': use {accepted}, as {{kind: column}}",
                )
    try:
        kind.Target.model_validate(dict(sync.target))
    except pydantic.ValidationError as error:
        [first, *_] = error.errors()
        name = ".".join(["target", *map(str, first["loc"])])
        known = ", ".join(kind.Target.model_fields) or "none"
        raise stop(name, f"{first['msg']} (fields of this kind's target: {known})") from None
    return replace(sync, formats={name: kind.identifiers[name] for name in sync.identifiers if kind.identifiers})
