"""No single record can fail a build, whatever its names and values are, and both engines make the same of it: messages in
which any JSON value may stand at any place (tests/support/any_json.py), landed once, built on DuckDB and on PostgreSQL.

CDP_FUZZ_SEED and CDP_FUZZ_RECORDS try others by hand."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from cdp_orchestration.landing import Landing, Page
from cdp_orchestration.landing.records import json_record
from tests.builds.test_days import AGREE, seen
from tests.support.any_json import Senders
from tests.support.harness import PROJECT, Platform

AS_OF = "2026-11-20T00:00:00"
SEED = int(os.environ.get("CDP_FUZZ_SEED", "14"))
RECORDS = int(os.environ.get("CDP_FUZZ_RECORDS", "2500"))
STREAMS = [("inbox", "messages"), ("web", "events")]

AGREE_IN_FULL = {
    **AGREE,
    "messages": "select * from staging.messages",
    "intake": "select * from staging.intake",
    "quarantine": "select * from staging.quarantine",
    "undeclared": "select * from profiles.undeclared",
    "events": "select * from profiles.events",
    "orders": "select * from profiles.orders",
    "refunds": "select * from profiles.refunds",
}


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("landed")
    landing = Landing(root / "landing")
    texts = Senders(SEED).records(RECORDS)
    for place, (source, stream) in enumerate(STREAMS * 2):
        part = texts[place :: 2 * len(STREAMS)]
        records = [json_record(text, f"line {n}", f"{place}.jsonl") for n, text in enumerate(part, 1)]
        landing.land(source, stream, [Page(records, {})])
    return root


@pytest.fixture(scope="module")
def on_duckdb(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    return built(landed, Platform(tmp_path_factory.mktemp("duckdb")))


@pytest.fixture(scope="module")
def on_postgres(landed: Path, postgres: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Platform:
    return built(landed, Platform(tmp_path_factory.mktemp("postgres"), engine=postgres))


def built(landed: Path, platform: Platform) -> Platform:
    shutil.copytree(landed / "landing", platform.root / "landing")
    platform.run("--as-of", AS_OF, "--no-deliver")
    return platform


def test_whatever_a_record_holds_the_build_goes_well_and_adds_up(landed: Path, on_duckdb: Platform) -> None:
    said = sum(batch.records for batch in Landing(landed / "landing").batches())
    assert said == RECORDS
    fates = dict(on_duckdb.rows("select fate, count(*) from staging.intake group by fate"))
    assert sum(fates.values()) == RECORDS
    assert fates["accepted"] > RECORDS / 3
    refused = on_duckdb.rows(
        "select count(*) from (select distinct batch_id, record_no from staging.quarantine where scope = 'record')"
    )
    assert refused == [(fates["quarantined"],)]


@pytest.mark.parametrize("name", AGREE_IN_FULL)
def test_both_engines_make_the_same_of_it(on_duckdb: Platform, on_postgres: Platform, name: str) -> None:
    sql = {name: AGREE_IN_FULL[name]}
    ours, theirs = seen(on_duckdb, sql)[name], seen(on_postgres, sql)[name]
    differ = sorted(set(ours) ^ set(theirs))
    assert not differ, f"{len(differ)} differ:\n" + "\n".join(each[:600] for each in differ[:6])
    assert ours == theirs


def test_every_name_and_value_of_a_trait_is_kept(on_duckdb: Platform) -> None:
    """Those of the winning message, as JSON has them; the catalogue's traits have other names, too, and are left out."""
    catalogue = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["catalogue"]["traits"]
    rows = on_duckdb.rows(
        "select traits.trait, traits.value, messages.traits, messages.context_traits from profiles.traits "
        "inner join staging.messages on messages.message_id = traits.message_id"
    )
    assert len({row[0] for row in rows}) > 50
    for trait, value, *given in rows:
        if trait not in catalogue:
            objects = [json.loads(text) for text in given if text and text.startswith("{")]
            assert json.loads(value) in [said[trait] for said in objects if trait in said]
