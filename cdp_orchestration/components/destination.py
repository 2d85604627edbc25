"""A connected destination: checked when the project loads, used by the syncs that name it."""

from typing import Self

import dagster as dg
import pydantic

from cdp_orchestration.components.yaml_attributes import Attributes
from cdp_orchestration.connections import Connection, connection, shown


class Destination(dg.Component):
    """A place that rows are delivered to: `kind` and the fields of that kind."""

    def __init__(self, destination: Connection) -> None:
        self.destination = destination

    @classmethod
    def get_model_cls(cls) -> type[pydantic.BaseModel]:
        return Attributes

    @classmethod
    def load(cls, attributes: pydantic.BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        written = attributes.as_written() if isinstance(attributes, Attributes) else {}
        return cls(connection("destinations", context.path.name, written, shown(context.path / "defs.yaml")))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return dg.Definitions()
