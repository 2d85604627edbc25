"""The defs.yaml of a new connection: from its template, else from the fields that its kind must have."""

from typing import Any

import yaml

from cdp_orchestration.connections import connection
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.kinds import DESTINATIONS, SOURCES
from cdp_orchestration.scaffold import templates


def defs_of(side: str, kind: str, name: str, stream: str, where: str) -> str:
    """The text of the file. `side` is sources or destinations; raises NeedsAPerson for a kind that cannot be begun so."""
    kinds: dict[str, Any] = SOURCES if side == "sources" else DESTINATIONS
    if kind not in kinds:
        raise NeedsAPerson(
            f"--kind {kind}: there is no such kind of {side[:-1]}. Use one of {', '.join(sorted(kinds))}."
        )
    template = (templates.SOURCE if side == "sources" else templates.DESTINATION).get(kind)
    text = (
        templates.filled(template, name=name, stream=stream)
        if template
        else _by_fields(kinds[kind], side, name, stream)
    )
    try:
        connection(side, name, yaml.safe_load(text)["attributes"], where)
    except NeedsAPerson as error:
        raise NeedsAPerson(
            f"--kind {kind}: `cdp new` cannot begin it, because it does not know what to write in its fields: write {where} by hand "
            f"(README, How to add). What is missing: {error}"
        ) from None
    return text


def _by_fields(connector: Any, side: str, name: str, stream: str) -> str:
    """Each field that must be there, from the environment."""
    attributes: dict[str, Any] = {"kind": connector.kind}
    for field, of in connector.Config.model_fields.items():
        if of.is_required() and field not in ("kind", "streams"):
            attributes[field] = f"{{{{ env.{name.upper()}_{field.upper()} }}}}"
    if side == "sources":
        attributes |= {"schedule": "0 * * * *", "streams": {stream: {}}}
    about = f"# {name}: a {side[:-1]} of kind {connector.kind}.\n"
    component = "Source" if side == "sources" else "Destination"
    return about + yaml.safe_dump(
        {"type": f"cdp_orchestration.components.{component}", "attributes": attributes}, sort_keys=False
    )
