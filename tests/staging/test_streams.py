"""A source that nothing reads stops nothing: it landed before its staging model, or its definition was removed. What it landed
is counted apart and shown, and is taken in as soon as the list of streams names it."""

import json
from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.project.fingerprint import fingerprint
from cdp_orchestration.project.streams import landed_not_read, read_streams
from tests.identity.test_identity import copy_of_the_project, prepare
from tests.support.harness import Platform, dbt

DEFINITION = """type: cdp_orchestration.components.Source
attributes: {kind: files, path: till, streams: {receipts: {glob: "*.csv"}, products: {glob: "*.tsv"}}}
"""
MODEL = """with records as (
    {{ landed(source('till', 'receipts'), ['receipt_no', 'card']) }}
)

select
    {{ record_columns() }},
    {{ keyed_message_id('till', 'receipts', key=['receipt_no'], cursor="''") }} as message_id,
    'track' as type,
    'Receipt' as event_name,
    landed_at as occurred_at,
    false as occurred_is_impossible,
    landed_at as received_at,
    {{ identifiers({'user_id': 'card'}) }} as identifiers,
    {{ unset(['record_key', 'record_hash', 'occurred_text', 'traits', 'properties', 'context', 'consent', 'previous_id',
        'missing_field', 'unusable_field']) }}
from records
"""
TWIN = """version: 2
sources:
  - name: till
    schema: landing
    tables:
      - {name: receipts, identifier: till__receipts, config: {meta: {dagster: {asset_key: [till, receipts]}}}}
      - {name: products, identifier: till__products, config: {meta: {stream: table, dagster: {asset_key: [till, products]}}}}
models:
  - {name: stg_till__receipts, description: Receipts. One row per landed receipt., config: {materialized: view}}
"""
STAGING = "dbt_project/models/1_staging"


def land(home: Path, source: str, stream: str, *records: dict[str, object]) -> None:
    page = Page([Record(json.dumps(record), file="f") for record in records], {})
    Landing(home / "landing").land(source, stream, [page])


def identify(user: str) -> dict[str, object]:
    return {"type": "identify", "messageId": user, "userId": user, "timestamp": "2026-10-01"}


def build(project: Path, home: Path) -> None:
    """The first layer with its checks, anew, as a changed list of streams makes `cdp run` do."""
    done = dbt(
        project, home, "build", "--full-refresh", "--select", "1_staging", "--exclude-resource-type", "unit_test"
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_what_nothing_reads_is_shown_and_taken_in_once_it_is_listed(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path / "project")
    home = tmp_path / "home"
    prepare(home)
    platform = Platform(home, project)
    arrivals = project / STAGING / "arrivals.sql"
    listed = arrivals.read_text()

    # It landed before there was a model, and its batch is the newest.
    land(home, "inbox", "messages", identify("u1"))
    land(home, "till", "receipts", {"receipt_no": "T-1", "card": "c1"}, {"receipt_no": "T-2", "card": "c2"})
    land(home, "till", "products", {"sku": "p1"})
    build(project, home)
    by_stream = "select stream, count(*) from staging.messages group by stream order by stream"
    assert platform.rows(by_stream) == [("messages", 1)]
    checked = platform.cdp("check")
    assert checked.returncode == 0, checked.stderr
    assert "till.receipts: landed, not read (2 records in 1 batch)" in checked.stdout
    shown = platform.cdp("status").stdout
    unread = [line.split()[:2] for line in shown.splitlines() if "not read" in line]
    assert unread == [["till.products", "1"], ["till.receipts", "2"]]

    # Once it is listed, its older batches are taken in; the table is none of the streams.
    folder = project / "cdp_orchestration" / "defs" / "sources" / "till"
    folder.mkdir()
    (folder / "defs.yaml").write_text(DEFINITION)
    (project / STAGING / "stg_till__receipts.sql").write_text(MODEL)
    (project / STAGING / "stg_till__receipts.yml").write_text(TWIN)
    line = "    ('till', 'receipts'): ref('stg_till__receipts'),\n"
    arrivals.write_text(listed.replace("{% set streams = {\n", "{% set streams = {\n" + line))
    build(project, home)
    assert platform.rows(by_stream) == [("messages", 1), ("receipts", 2)]
    checked = platform.cdp("check")
    assert checked.returncode == 0, checked.stderr
    assert "not read" not in checked.stdout
    assert "till.products: a table, 1 record" in checked.stdout

    # Removed, it is read no longer: its messages go with the rebuild that the change forces.
    (folder / "defs.yaml").unlink()
    folder.rmdir()
    (project / STAGING / "stg_till__receipts.sql").unlink()
    (project / STAGING / "stg_till__receipts.yml").unlink()
    arrivals.write_text(listed)
    build(project, home)
    assert platform.rows(by_stream) == [("messages", 1)]


def test_another_list_of_streams_is_another_rule() -> None:
    """So what a stream landed before it was listed, or what it said before it was removed, is never mixed with the rest."""

    def manifest(*models: str) -> dict[str, Any]:
        nodes = {
            name: {"name": name, "resource_type": "model", "fqn": ["cdp", "1_staging", name],
                   "checksum": {"checksum": name}, "depends_on": {"macros": []}}
            for name in models
        }  # fmt: skip
        return {"nodes": nodes, "macros": {}}

    assert fingerprint(manifest("arrivals")) != fingerprint(manifest("arrivals", "stg_till__receipts"))


@pytest.mark.parametrize("config", [{"meta": {"stream": "table"}}, {"config": {"meta": {"stream": "table"}}}])
def test_a_stream_is_read_a_table_or_neither(config: dict[str, Any], tmp_path: Path) -> None:
    manifest = {
        "sources": {
            "source.cdp.till.receipts": {"source_name": "till", "name": "receipts"},
            "source.cdp.till.products": {"source_name": "till", "name": "products", **config},
            "source.cdp.till.stock": {"source_name": "till", "name": "stock"},
        },
        "nodes": {
            "model.cdp.arrivals": {"depends_on": {"nodes": ["model.cdp.stg_till__receipts"]}},
            "model.cdp.stg_till__receipts": {
                "depends_on": {"nodes": ["source.cdp.till.receipts", "source.cdp.till.products"]}
            },
            "model.cdp.stg_till__stock": {"depends_on": {"nodes": ["source.cdp.till.stock"]}},
        },
    }
    assert read_streams(manifest) == {("till", "receipts")}
    for stream in ("receipts", "products", "stock", "gone"):
        land(tmp_path, "till", stream, {"n": 1})
    Landing(tmp_path / "landing").prepare("till", "empty")
    told = [(unread.stream, unread.is_table) for unread in landed_not_read(Home(tmp_path), manifest)]
    assert told == [("gone", False), ("products", True), ("stock", False)]
