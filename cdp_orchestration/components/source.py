"""A connected source as Dagster assets: one per stream, and a schedule where its data enters."""

import fcntl
from collections.abc import Iterable, Iterator
from typing import Self

import dagster as dg
import pydantic

from cdp_orchestration import runs
from cdp_orchestration.components.words import RETRY, in_dagsters_words
from cdp_orchestration.components.yaml_attributes import Attributes
from cdp_orchestration.connections import Connection, connection, shown
from cdp_orchestration.home import Home, current_home
from cdp_orchestration.landing import Batch, Landing, Page
from cdp_orchestration.progress import say

GROUP = "sources"
SAMPLE_ROWS = 5


class Source(dg.Component):
    """A source of records: `kind` and the fields of that kind, `streams`, and a cron `schedule`."""

    def __init__(self, source: Connection) -> None:
        self.source = source

    @classmethod
    def get_model_cls(cls) -> type[pydantic.BaseModel]:
        return Attributes

    @classmethod
    def load(cls, attributes: pydantic.BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        written = attributes.as_written() if isinstance(attributes, Attributes) else {}
        return cls(connection("sources", context.path.name, written, shown(context.path / "defs.yaml")))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return dg.Definitions(assets=[stream_asset(self.source, stream) for stream in self.source.streams])


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
        with in_dagsters_words(what):
            batches, notes = land_stream(source, stream, current_home())
            records = sum(batch.records for batch in batches)
            unreadable = sum(batch.errors for batch in batches)
            say(f"{what}: landed {records:,} records" + (f", {unreadable:,} unreadable" if unreadable else ""))
            for note in notes:
                say(f"{what}: {note}")
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


def land_stream(source: Connection, stream: str, home: Home) -> tuple[list[Batch], list[str]]:
    """Pull what is new in one stream and publish it; with what a person should know about it. One pull per stream at a
    time; a second one waits."""
    landing = Landing(home.landing)
    landing.prepare(source.name, stream)
    notes: list[str] = []
    with open(home.landing / source.name / stream / ".pull.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connector = source.source(home)
        pages = connector.pull(stream, landing.state(source.name, stream), landing.files(source.name, stream))
        batches = landing.land(source.name, stream, _noted(pages, notes))
    # Pages of which nothing landed are read again, and their notes told then.
    return batches, notes if batches else []


def _noted(pages: Iterable[Page], notes: list[str]) -> Iterator[Page]:
    for page in pages:
        notes += page.notes
        yield page


def _sample(batches: list[Batch]) -> str:
    if not batches:
        return "nothing new"
    try:
        rows = next(batches[-1].parts()).slice(0, SAMPLE_ROWS).to_pylist()
    except FileNotFoundError:
        return "brought together with other batches in the meantime"
    return "\n".join(f"    {(row['_payload'] or row['_error'] or '')[:300]}" for row in rows)
