"""A home that an older version made is taken over: tests/takeover/home.tar.gz, of commit 93c4165 (make_home.py says what is in it).

Three runs: the first one by a project that has an attribute, an audience, a sync and a property of its own; then by the project as it is,
which has forgotten them; then a full refresh.
"""

import json
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_orchestration.demo.receiver import Receiver
from cdp_orchestration.landing import Landing
from tests.support.harness import PROJECT, Platform

ARCHIVE = PROJECT / "tests" / "takeover" / "home.tar.gz"
TOKEN = "t"
RENAMED = ("e157561544ec78564ef2354cda13fe99", "79c3b6633f712d2b52a099eac03771ee")  # Bob's id before, and now
OWN_MODELS = {
    "4_attributes/searches_7d.sql": "select profile_id, count(*) as searches_7d from {{ ref('events') }}\n"
    "where event_name = 'Trip Searched' and profile_id is not null and {{ happened('occurred_at', last_days=7) }}\n"
    "group by profile_id\n",
    "5_audiences/keen_searchers.sql": "select profile_id from {{ ref('searches_7d') }} where searches_7d >= 1\n",
    "6_activation/keen_to_file.sql": "select profile_id as row_key, profile_id, cast(null as varchar) as consent_message_id\n"
    "from {{ ref('keen_searchers') }}\n",
    "6_activation/keen_to_file.yml": "models:\n  - name: keen_to_file\n    config: {meta: {sync: {destination: sales_desk, "
    "consent: not_required}}}\n",
}


@dataclass
class Taken:
    """The platform after the three runs, what each printed, and what it was before."""

    platform: Platform
    own: Platform
    receiver: Receiver
    before: dict[str, list[Any]]
    landed: list[int]
    runs: list[subprocess.CompletedProcess[str]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    people: list[list[Any]] = field(default_factory=list)
    batches: list[list[dict[str, Any]]] = field(default_factory=list)  # what the CRM was sent, by run
    compacted: list[str] = field(default_factory=list)  # what `cdp compact` said after each run


OBSERVED = {
    "changes": 'select audience, profile_id, change, "at", build_id from audiences.changes',
    "splits": "select from_profile_id, into_profile_id, split_at, identifier_type, identifier_value from identity.splits",
    "vitals": "select build_id, as_of, messages, merged, profiles from identity.vitals",
    "builds": "select build_id, as_of, through_batch_seq from staging.builds",
}
LEDGER = (
    "select distinct sync, row_key, operation, status, idempotency_key, attempted_at "
    "from read_parquet('{}/deliveries/ledger/**/*.parquet', union_by_name = true)"
)
PEOPLE = "select identifier_type, identifier_value, profile_id from identity.identifiers order by 1, 2"


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    root = tmp_path_factory.mktemp("taken")
    project = root / "project"
    left_out = shutil.ignore_patterns(".git", ".venv*", "data", "target", "logs", "__pycache__", "takeover", "shared")
    shutil.copytree(PROJECT, project, ignore=left_out)
    for name, text in OWN_MODELS.items():
        (project / "dbt_project" / "models" / name).write_text(text)
    catalogue = project / "dbt_project.yml"
    catalogue.write_text(
        catalogue.read_text().replace("      travellers: integer\n", "      travellers: integer\n      season: text\n")
    )
    home = root / "home"
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(home, filter="data")
    _note_relations(home)
    platform, own = Platform(home), Platform(home, project)
    receiver = Receiver(root / "crm.json", TOKEN)
    state = Taken(platform, own, receiver, observed(platform), _landed(home))
    with receiver:
        crm = {"CRM_WEBHOOK_URL": receiver.url, "CRM_WEBHOOK_TOKEN": TOKEN}
        for number, (by, *arguments) in enumerate([(own,), (platform,), (platform, "--full-refresh")]):
            sent = len(receiver.log)
            state.runs.append(by.run("--as-of", f"2026-11-{13 + number}T12:00:00", *arguments, **crm))
            state.batches.append(receiver.log[sent:])
            state.people.append(platform.rows(PEOPLE))
            state.statuses.append(by.cdp("status", **crm).stdout)
            state.compacted.append(by.cdp("compact").stdout)
    return state


def _note_relations(home: Path) -> None:
    """The archive has no manifest, which a home in use has: by it the first parse notes what earlier builds made."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        made = connection.execute(
            "select table_schema || '.' || table_name, case table_type when 'VIEW' then 'view' else 'table' end "
            "from information_schema.tables where table_schema = 'identity'"
        ).fetchall()
    (home / "relations.json").write_text(json.dumps({"duckdb": dict(made)}))


def observed(platform: Platform) -> dict[str, list[Any]]:
    return {name: platform.rows(sql) for name, sql in {**OBSERVED, "ledger": LEDGER.format(platform.root)}.items()}


def _landed(home: Path) -> list[int]:
    return [batch.records for batch in Landing(home / "landing").batches()]


def test_nothing_lands_again(taken: Taken) -> None:
    assert _landed(taken.platform.root) == taken.landed


def test_its_landing_and_ledger_are_compacted_between_runs(taken: Taken) -> None:
    """What all the other tests here say of the runs after the first one, they say of compacted files."""
    first, second, third = taken.compacted
    assert "inbox.messages: 3 batches brought together; it is 1 file now." in first
    assert "ledger of newsletter_to_crm: 6 files brought together; it is 1 file now." in first
    assert re.search(r"Removed \d+ files that were replaced", second)
    assert third.startswith("Nothing to compact.")
    assert not list(taken.platform.root.glob("landing/inbox/messages/0*"))
    counted = taken.platform.rows(
        "select count(*), count(distinct ledger_no) from landing._ledger where sync = 'newsletter_to_crm'"
    )
    assert counted == [(19, 19)]


def test_what_was_observed_stays(taken: Taken) -> None:
    for name, rows in observed(taken.platform).items():
        missing = set(taken.before[name]) - set(rows)
        assert taken.before[name], name
        assert not missing, f"{name} lost {missing}"


def test_people_of_one_second_come_in_the_order_of_the_file(taken: Taken) -> None:
    """README, "Who is who": the tablet is Ann's, who held it first."""
    owners = {value: profile for _, value, profile in taken.people[0]}
    assert owners["tablet"] == owners["ann"]
    assert owners["bob"] == owners["bob@x.example"] == RENAMED[1]
    assert owners["bob"] != owners["ann"]


def test_the_run_says_how_many_people_have_another_id(taken: Taken) -> None:
    assert re.search(r"\b1 of 7 people\b.*another id", taken.runs[0].stdout), taken.runs[0].stdout
    assert "another id" not in taken.runs[1].stdout + taken.runs[2].stdout


def test_it_has_no_definitions_to_compare_with_and_then_only_what_changed_is_recomputed(taken: Taken) -> None:
    first, second, third = (run.stdout for run in taken.runs)
    assert "Identity rules or staging mappings changed since the last build: rebuilding everything." in first
    assert "Definitions changed since the last build (vars.catalogue.properties.season (gone)): recomputing" in second
    assert "rebuilding everything" not in second
    assert "Definitions changed" not in first + third
    made = dict(taken.platform.rows("select model_name, build_id from staging.definitions"))
    last = taken.platform.rows("select build_id from staging.builds order by started_at desc limit 1")[0][0]
    assert {"events", "wrong_types"} <= set(made)
    assert set(made.values()) == {last}
    assert "(full refresh)" not in made, "it came to its end"


def test_nothing_is_removed_at_a_destination(taken: Taken) -> None:
    operations = [operation for batch in taken.batches[0] for operation in batch["operations"]]
    # Bob goes on under another id; of the two who share an address, the one with the smaller row_key stands for both now.
    assert sorted((o["operation"], o["fields"]["email"]) for o in operations) == [
        ("update", "bob@x.example"),
        ("update", "family@x.example"),
    ]
    assert taken.batches[1:] == [[], []]
    removed = taken.platform.rows(
        "select sync, row_key from activation.deliveries where operation = 'remove' and attempted_at > "
        f"timestamp '{max(row[-1] for row in taken.before['ledger'])}'"
    )
    assert removed == []


def test_a_full_refresh_gives_the_same_people(taken: Taken) -> None:
    assert taken.people[0] == taken.people[1] == taken.people[2]


def test_the_steps_of_identity_move_to_a_schema_of_their_own(taken: Taken) -> None:
    """The first run rebuilds, and drops what stood in schema identity under older names; resolutions are numbered on."""
    assert "identity.owners, " in re.search(r"Dropped \d+ relations .*", taken.runs[0].stdout).group()  # type: ignore[union-attr]
    found = "select table_name from information_schema.tables where table_schema = '{}'"
    with duckdb.connect(str(taken.platform.root / "warehouse.duckdb"), read_only=True) as connection:
        people_query = {name for (name,) in connection.execute(found.format("identity")).fetchall()}
        steps = {name for (name,) in connection.execute(found.format("identity_steps")).fetchall()}
    assert people_query == {
        "identifiers", "merges", "refusals", "set_owners", "evidence", "health", "overrides", "identity_overrides",
        "vitals", "splits", "renamings",
    }  # fmt: skip
    assert {"identifier_sets", "kept", "current_resolution", "finished_resolution"} <= steps
    numbers = taken.platform.rows("select resolution_no from identity.vitals order by as_of")
    assert numbers == [(number,) for number in range(1, 7)]


def test_relations_that_the_project_forgot_are_named_and_dropped_by_a_full_refresh(taken: Taken) -> None:
    gone = "activation.keen_to_file, attributes.searches_7d, audiences.keen_searchers"
    assert "Left behind" not in taken.statuses[0]
    assert f"no longer has: {gone}." in taken.statuses[1]
    assert f"Dropped 3 relations of models that the project no longer has: {gone}." in taken.runs[2].stdout
    assert "Left behind" not in taken.statuses[2]
    with duckdb.connect(str(taken.platform.root / "warehouse.duckdb"), read_only=True) as connection:
        assert not connection.execute(
            "select table_schema, table_name from information_schema.tables where table_name in "
            "('searches_7d', 'keen_searchers', 'keen_to_file')"
        ).fetchall()


def test_an_attribute_that_the_project_forgot_is_not_shown_for_a_person(taken: Taken) -> None:
    shown = taken.platform.cdp("profile", "user_id=fay")
    assert shown.returncode == 0, shown.stderr
    assert "searches_7d" not in shown.stdout


def test_a_sync_that_the_project_forgot_is_shown_while_it_holds_rows(taken: Taken) -> None:
    assert "keen_to_file" in taken.statuses[1]
    assert "--let-go" in taken.statuses[1]
