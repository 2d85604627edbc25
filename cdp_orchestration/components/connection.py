"""Connections as Dagster knows them: a source is an asset per stream, a destination is checked when the project loads.

Attributes are checked by the kind of connector and rendered when used, not by Dagster at load."""

import logging
from typing import ClassVar, Self

import dagster as dg
import pydantic

from cdp_orchestration.components import runs
from cdp_orchestration.components.failures import RETRY, as_dagster_failure
from cdp_orchestration.connections import Connection, connection, shown
from cdp_orchestration.home import current_home
from cdp_orchestration.landing import Batch
from cdp_orchestration.pull import land_stream

log = logging.getLogger("cdp")

GROUP = "sources"
SAMPLE_ROWS = 5


class Attributes(pydantic.BaseModel):
    """Any fields: the connector's own Config says which there are."""

    model_config = pydantic.ConfigDict(extra="allow")
    kind: str = pydantic.Field(description="The connector: a module of sources/ or destinations/.")


class Connected(dg.Component):
    """A connection of one side, from a defs.yaml of attributes; the folder's name is the connection's."""

    side: ClassVar[str]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @classmethod
    def get_model_cls(cls) -> type[pydantic.BaseModel]:
        return Attributes

    @classmethod
    def load(cls, attributes: pydantic.BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        written = attributes.model_dump() if attributes is not None else {}
        return cls(connection(cls.side, context.path.name, written, shown(context.path / "defs.yaml")))


class Source(Connected):
    """A source of records: `kind` and the fields of that kind, `streams`, and a cron `schedule`."""

    side: ClassVar[str] = "sources"

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return dg.Definitions(assets=[stream_asset(self.connection, stream) for stream in self.connection.streams])


class Destination(Connected):
    """A place that rows are delivered to: `kind` and the fields of that kind. Its assets are the syncs of the dbt project."""

    side: ClassVar[str] = "destinations"

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return dg.Definitions()


def stream_asset(source: Connection, stream: str) -> dg.AssetsDefinition:
    """The asset [source, stream]: materialising it lands what is new."""

    @dg.asset(
        key=[source.name, stream],
        group_name=GROUP,
        kinds={source.kind},
        description=f"Records of {source.name}.{stream} as they came, landed as Parquet. Connected in {source.where}.",
        retry_policy=RETRY,
        op_tags={"cdp/layer": "landing"},
    )
    def land(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        runs.sign(context.instance, context.run_id)
        what = f"{source.name}.{stream}"
        with as_dagster_failure(what):
            batches, notes = land_stream(source, stream, current_home())
            records = sum(batch.records for batch in batches)
            unreadable = sum(batch.errors for batch in batches)
            log.info(f"{what}: landed {records:,} records" + (f", {unreadable:,} unreadable" if unreadable else ""))
            for note in notes:
                log.info(f"{what}: {note}")
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": records,
                    "unreadable": unreadable,
                    "batches": [batch.batch_seq for batch in batches],
                    "notes": dg.MetadataValue.md("\n".join(f"- {what}: {note}" for note in notes) or "none"),
                    "sample": dg.MetadataValue.md(_sample(batches)),
                }
            )

    return land


def _sample(batches: list[Batch]) -> str:
    if not batches:
        return "nothing new"
    try:
        rows = next(batches[-1].parts()).slice(0, SAMPLE_ROWS).to_pylist()
    except FileNotFoundError:
        return "brought together with other batches in the meantime"
    return "\n".join(f"    {(row['_payload'] or row['_error'] or '')[:300]}" for row in rows)
