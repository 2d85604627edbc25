"""A changed definition recomputes what it changes: which models that is, and that it comes to the same as a build from nothing."""

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pytest
import yaml

from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.project.definitions import Changed, changed, is_half_made, note
from cdp_orchestration.project.fingerprint import Project, fingerprint
from tests.identity.test_identity import copy_of_the_project, prepare
from tests.support import parsed
from tests.support.harness import PROJECT, Platform, dbt
from tests.support.macros import rendered

Manifest = dict[str, Any]
VARIABLES: dict[str, Any] = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
EVENTS, WRONG_TYPES, READER = (f"model.cdp.{name}" for name in ("events", "wrong_types", "reader"))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    home = tmp_path_factory.mktemp("parsed")
    parsed.start_from_it(home, PROJECT, Platform(home).environment())
    return dict(json.loads((home / "dbt" / "manifest.json").read_text()))


def with_reader(manifest: Manifest, sql: str, reads: str, *macros: str) -> Manifest:
    """The same with one more model that keeps its rows."""
    nodes = copy.deepcopy(manifest["nodes"])
    nodes[READER] = {
        "name": "reader", "resource_type": "model", "fqn": ["cdp", "4_attributes", "reader"], "raw_code": sql, "schema": "attributes",
        "alias": "reader", "checksum": {"checksum": sql}, "config": {"materialized": "incremental"},
        "original_file_path": "reader.sql",
        "depends_on": {"nodes": [f"model.cdp.{reads}"], "macros": [f"macro.cdp.{name}" for name in macros]},
    }  # fmt: skip
    return {**manifest, "nodes": nodes, "macros": copy.deepcopy(manifest["macros"])}


def declared(section: str, **entries: Any) -> dict[str, Any]:
    """The vars with more entries in the catalogue."""
    variables = copy.deepcopy(VARIABLES)
    variables["catalogue"][section].update(entries)
    return variables


def differ(before: Project, after: Project) -> dict[str, set[str]]:
    """Of each model that is recomputed, its parts that differ."""
    old, new = before.carried(), after.carried()
    return {
        key: {name for name in old[key].keys() | new[key].keys() if old[key].get(name) != new[key].get(name)}
        for key in old
        if old[key] != new[key]
    }


def test_a_new_property_recomputes_events_and_its_readers_never_identity(manifest: Manifest) -> None:
    read = with_reader(manifest, "select 1", "orders")  # which is a table over events
    after = declared("properties", nights="integer")
    found = differ(Project(read, VARIABLES), Project(read, after))
    assert set(found) >= {EVENTS, WRONG_TYPES, READER}
    assert set.union(*found.values()) == {"vars.catalogue.properties.nights"}
    assert fingerprint(manifest, VARIABLES) == fingerprint(manifest, after)


def test_what_says_nothing_of_the_rows_recomputes_nothing(manifest: Manifest) -> None:
    before = declared("properties", price={"type": "money", "pii": "none"})
    after = declared("properties", price={"type": "money", "pii": "pii", "description": "of one night"})
    assert differ(Project(manifest, before), Project(manifest, after)) == {}
    assert differ(Project(manifest, VARIABLES), Project(manifest, before)) == {}  # `price: money` is the same


def test_a_table_that_a_model_reads_is_a_part_of_it(manifest: Manifest) -> None:
    before, after = (with_reader(manifest, "select 1", "orders") for _ in range(2))
    after["nodes"]["model.cdp.orders"]["checksum"] = {"checksum": "edited"}
    found = differ(Project(before, VARIABLES), Project(after, VARIABLES))
    assert found == {READER: {"dbt_project/models/3_profiles/orders.sql"}}


def test_a_macro_recomputes_the_models_that_call_it(manifest: Manifest) -> None:
    before, after = (with_reader(manifest, "select 1", "merges", "happened") for _ in range(2))
    after["macros"]["macro.cdp.happened"]["macro_sql"] += " "
    found = differ(Project(before, VARIABLES), Project(after, VARIABLES))
    assert found[READER] == {"macro happened"}
    assert found["model.cdp.trips_searched_30d"] == {"macro happened"}, "a helper calls it"
    assert fingerprint(before, VARIABLES) == fingerprint(after, VARIABLES)


@pytest.mark.parametrize(
    ("sql", "recomputed"),
    [
        ("{{ trait('glove_size', '>', 40) }}", {"vars.catalogue.traits.glove_size"}),
        ("{{ trait('hat_size', '>', 40) }}", set()),
    ],
)
def test_of_the_catalogue_a_model_reads_what_it_names(manifest: Manifest, sql: str, recomputed: set[str]) -> None:
    read = with_reader(manifest, sql, "identifiers", "profile_column_types")
    found = differ(Project(read, VARIABLES), Project(read, declared("traits", glove_size="bigint")))
    assert found.get(READER, set()) == recomputed


def test_other_variables_count_as_a_whole(manifest: Manifest) -> None:
    read = with_reader(manifest, "{{ var('visit_sources') }}", "identifiers")
    after = {**VARIABLES, "visit_sources": ["app"]}
    found = differ(Project(read, VARIABLES), Project(read, after))
    assert found == {key: {"vars.visit_sources"} for key in (READER, "model.cdp.sessions_30d")}
    assert fingerprint(manifest, VARIABLES) == fingerprint(manifest, after)
    rules = copy.deepcopy(VARIABLES)
    rules["identity"]["identifiers"]["email"]["limit"] = 6
    assert fingerprint(manifest, VARIABLES) != fingerprint(manifest, rules)


def test_each_model_that_keeps_rows_records_its_definition(manifest: Manifest) -> None:
    kept = Project(manifest, VARIABLES).kept()
    assert {EVENTS, WRONG_TYPES} <= set(kept)
    assert not {"model.cdp.changes", "model.cdp.current_members"} & set(kept), "these are never made anew"
    for node in kept.values():
        assert any("remember_definition" in hook["sql"] for hook in node["config"]["post-hook"]), node["name"]


def hooked(environment: dict[str, str], materialized: str = "incremental") -> str:
    """The hook of the model `orders`, where staging.definitions is there."""

    relation = mock.MagicMock()
    relation.__str__.return_value = "staging.definitions"
    api, model, adapter = mock.MagicMock(), mock.MagicMock(), mock.MagicMock()
    api.Relation.create.return_value = relation
    model.name, model.config.materialized = "orders", materialized
    context = {
        "api": api, "target": mock.MagicMock(), "model": model, "execute": True, "adapter": adapter, "fromjson": json.loads,
        "env_var": lambda name, default: environment.get(name, default), "invocation_id": "by hand",
    }  # fmt: skip
    return " ".join(str(rendered("duckdb", "remember_definition", context=context)).split())


def test_what_dbt_makes_by_hand_is_made_by_nobody_knows_what() -> None:
    """So the next `cdp run` makes it anew."""
    assert hooked({}) == "delete from staging.definitions where model_name = 'orders'"
    assert hooked({}, "table") == ""
    assert hooked({"CDP_FINGERPRINTS": "{}"}) == ""
    assert hooked({"CDP_FINGERPRINTS": '{"orders": "f"}', "CDP_BUILD_ID": "b"}) == (
        "insert into staging.definitions (model_name, fingerprint, build_id) values ('orders', 'f', 'b')"
    )


# A warehouse with what staging and identity hand on, made by hand; profiles.events and what reads it are dbt's.
NIGHTS = """{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='arrival') }}
select arrival, {{ 'nonsense' if env_var('FAILS', '') and execute else "properties" }} as said
from {{ ref('events') }}
{% if is_incremental() %}where arrival > (select max(arrival) from {{ this }}){% endif %}
"""
MADE = ["touched", "events", "trait_writes", "wrong_types", "quarantine", "nights"]
HELD = {
    "events": "select * from profiles.events order by arrival",
    "wrong_types": "select * from profiles.wrong_types order by arrival, field",
    "quarantine": "select * from staging.quarantine order by message_id, field",
    "nights": "select * from profiles.nights order by arrival",
    "undeclared": "select * from profiles.undeclared order by kind, event, name",
}
FAULTS = "select message_id, field, detail, file, file_record_no from staging.quarantine order by message_id, field"


class Warehouse:
    def __init__(self, root: Path) -> None:
        self.platform = Platform(root / "home", copy_of_the_project(root / "project"))
        self.home, self.project = self.platform.root, self.platform.project
        self.parsed = False
        dbt_project = self.project / "dbt_project"
        for layer in ("4_attributes", "5_audiences", "6_activation"):  # dbt need not read them
            shutil.rmtree(dbt_project / "models" / layer)
        for file in (dbt_project / "tests").glob("*.sql"):
            file.unlink()
        for name in ("calculated", "moved_events", "devices", "device_sightings"):
            for file in (dbt_project / "models/3_profiles").glob(f"{name}.*"):
                file.unlink()
        (dbt_project / "models/3_profiles/nights.sql").write_text(NIGHTS)
        self.builds = 0
        self.arrived = 0
        prepare(self.home)
        with duckdb.connect(str(self.home / "warehouse.duckdb")) as connection:
            for schema in ("staging", "identity"):
                connection.execute(f"create schema if not exists {schema}")
            connection.execute(
                "create table staging.messages (message_id text, source text, stream text, batch_id text, batch_seq bigint, "
                "record_no bigint, arrival bigint, type text, event_name text, occurred_at timestamp, received_at timestamp, "
                "identifiers text, traits text, context_traits text, properties text);"
                "create table staging.builds as select 'b0' as build_id, timestamp '2026-11-01' as started_at;"
                "create table staging.refused (batch_id text, record_no bigint, message_id text, source text, stream text, "
                "scope text, reason text, field text, payload text, detail text, batch_seq bigint, file text, file_record_no bigint);"
                "create table identity.merges (from_profile_id text, into_profile_id text);"
                "create table identity.set_owners as select 'ann' as identifiers, 'p1' as profile_id"
            )

    def land(self, file: str, *said: tuple[str, str, dict[str, Any]]) -> None:
        """Messages of one file: event, whose, properties; those of nobody have no profile."""
        records = [json.dumps({"event": event, "properties": properties}) for event, _, properties in said]
        page = Page([Record(record, file=file) for record in records], {})
        [batch] = Landing(self.home / "landing").land("web", "events", [page])
        with duckdb.connect(str(self.home / "warehouse.duckdb")) as connection:
            for number, (event, who, properties) in enumerate(said):
                self.arrived += 1
                connection.execute(
                    "insert into staging.messages values (?, 'web', 'events', ?, ?, ?, ?, 'track', ?, "
                    "timestamp '2026-10-01', timestamp '2026-10-01', ?, null, null, ?)",
                    [f"m{self.arrived}", batch.batch_id, batch.batch_seq, number, self.arrived, event, who,
                     json.dumps(properties)],
                )  # fmt: skip

    def declare(self, **properties: str) -> None:
        self.parsed = False
        file = self.project / "dbt_project.yml"
        lines = "".join(f"      {name}: {kind}\n" for name, kind in properties.items())
        file.write_text(file.read_text().replace("      travellers: integer\n", f"      travellers: integer\n{lines}"))

    def changed(self, full: bool = False) -> Changed:
        """What the next build makes anew."""
        if not self.parsed:
            done = dbt(self.project, self.home, "parse")
            assert done.returncode == 0, done.stdout
            self.parsed = True
        variables = yaml.safe_load((self.project / "dbt_project.yml").read_text())["vars"]
        manifest = json.loads((self.home / "dbt/manifest.json").read_text())
        return changed(Home(self.home), manifest, full, variables)

    def build(self, found: Changed, *options: str, models: list[str] = MADE, **environment: str) -> list[str]:
        """The models that failed."""
        self.builds += 1
        done = dbt(self.project, self.home, "run", "--select", *models, *options, CDP_BUILD_ID=f"b{self.builds}",
                   **found.environment(), **environment)  # fmt: skip
        return re.findall(r"ERROR creating .* model \w+\.(\w+)", done.stdout)

    def recorded(self) -> dict[str, str]:
        """model -> build that made it anew."""
        return dict(self.platform.rows("select model_name, build_id from staging.definitions"))

    def holds(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self.platform.rows(sql) for name, sql in HELD.items()}


def test_what_is_recomputed_equals_a_build_from_nothing(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    searched, bought = "Trip Searched", "Order Completed"
    warehouse.land("one", (searched, "ann", {"travellers": 2, "nights": 7}), (searched, "ann", {"travellers": "many", "nights": "two"}),
                   (bought, "nobody", {"total": "ten", "price": "x", "extra": {"a": 1}}))  # fmt: skip
    first = warehouse.changed(full=True)
    assert first.models == [], "everything is made anew: there is nothing to tell"
    assert warehouse.build(first, models=[*MADE, "undeclared"]) == []
    assert warehouse.recorded() == dict.fromkeys(["touched", "events", "trait_writes", "wrong_types", "nights"], "b1")
    note(Home(warehouse.home), first.parts)
    # An order's total was judged by staging; what nobody said is judged, too.
    assert warehouse.platform.rows(FAULTS) == [
        ("m2", "properties.travellers", '"many"', "one", 2),
        ("m3", "properties.price", '"x"', "one", 3),
    ]

    # Nothing changed: rows are added.
    assert not is_half_made(Home(warehouse.home))
    warehouse.land("two", (searched, "ann", {"nights": [1], "travellers": 1.5}))
    none = warehouse.changed()
    assert (none.models, none.fingerprints, none.because) == ([], {}, [])
    assert warehouse.build(none) == []
    assert set(warehouse.recorded().values()) == {"b1"}
    assert warehouse.platform.rows(FAULTS)[-1] == ("m4", "properties.travellers", "1.5", "two", 1)

    # A new property; the build ends in the middle of it.
    warehouse.declare(nights="integer")
    warehouse.land("three", (searched, "ann", {"nights": {"a": 1}}))
    found = warehouse.changed()
    assert found.sentence() == (
        "Definitions changed since the last build (vars.catalogue.properties.nights (new)): recomputing profiles.events, "
        "profiles.nights, profiles.wrong_types and what follows; identity stays as it is."
    )
    assert {"events", "wrong_types", "quarantine", "nights", "profiles"} - set(found.models) == {"profiles"}
    assert warehouse.build(found, models=["events", "nights"], FAILS="yes") == ["nights"]
    assert warehouse.recorded() == {"touched": "b1", "trait_writes": "b1", "events": "b3"}

    # The next one goes on where that one ended.
    left = warehouse.changed()
    assert "properties.nights (new)" in left.sentence()
    assert left.kept == ["profiles.nights", "profiles.wrong_types"]
    assert warehouse.build(left, models=[*MADE, "undeclared"]) == []
    assert warehouse.recorded() == {
        "touched": "b1",
        "trait_writes": "b1",
        "events": "b3",
        "wrong_types": "b4",
        "nights": "b4",
    }
    assert [row[:3] for row in warehouse.platform.rows(FAULTS) if row[1] == "properties.nights"] == [
        ("m2", "properties.nights", '"two"'),
        ("m4", "properties.nights", "[1]"),
        ("m5", "properties.nights", '{"a":1}'),
    ]
    assert warehouse.platform.rows("select nights from profiles.events order by arrival") == [(7,)] + [(None,)] * 4
    assert warehouse.platform.rows("select kind, event, name, value_type, times, people from profiles.undeclared") == [
        ("property", bought, "extra", "object", 1, 0)
    ]

    # It all equals a build from nothing.
    increments = warehouse.holds()
    anew = [*MADE, "undeclared", "current_build"]  # of which the last one cannot be made here
    assert warehouse.build(warehouse.changed(full=True), "--full-refresh", models=anew) == ["current_build"]
    assert warehouse.holds() == increments
    assert all(increments.values())
    assert is_half_made(Home(warehouse.home)), "staging is not there again"
