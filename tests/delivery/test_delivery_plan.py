"""What a plan says: values as they are sent, consent, the guard, keys, and that the same inputs give the same plan."""

import hashlib
import random
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from cdp_orchestration import compaction
from cdp_orchestration.delivery import compaction as of_ledger
from cdp_orchestration.delivery.ledger import SCHEMA, Ledger, read_plan
from cdp_orchestration.delivery.plan import plans_folder
from cdp_orchestration.destinations.base import Outcome
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.warehouse import NothingBuilt
from tests.delivery.test_delivery import NOTHING, Recorder, World, people, vips

EMAIL = {"regulation": "gdpr", "purpose": "email_marketing"}
PROFILING = {"regulation": "gdpr", "purpose": "profiling"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def planned(world: World, run_id: str) -> list[Any]:
    return list(read_plan(plans_folder(world.home, "vips") / f"{run_id}.parquet"))


def test_values_are_sent_as_json_in_the_models_order(world: World) -> None:
    row = {
        "row_key": "a", "profile_id": "p", "note": 'He said "ü"\n', "order_count": 2**53 + 1, "spend_usd": 0.1,
        "is_vip": True, "last_order_at": datetime(2026, 2, 3, 4, 5, 6, 7), "gone": None, "nan": float("nan"),
    }  # fmt: skip
    types = {"note": "varchar", "order_count": "bigint", "spend_usd": "double", "is_vip": "boolean",
             "last_order_at": "timestamp", "gone": "timestamp", "nan": "double"}  # fmt: skip
    world.want([row], **types)
    crm = Recorder()
    world.deliver(crm, vips(nulls="send"), run_id="r")
    expected = {
        "note": 'He said "ü"\n', "order_count": 9007199254740993, "spend_usd": 0.1, "is_vip": True,
        "last_order_at": "2026-02-03T04:05:06.000007Z", "gone": None, "nan": None,
    }  # fmt: skip
    assert crm.requests[0][0].fields == expected
    assert list(crm.requests[0][0].fields) == list(expected)
    [row] = planned(world, "r")
    assert row.payload_hash == hashlib.md5((row.fields + row.identifiers).encode()).hexdigest()
    key = f"vips|a|add|{row.payload_hash}|0"
    assert row.idempotency_key == hashlib.md5(key.encode()).hexdigest()


def test_nulls_are_left_out_unless_a_sync_sends_them(world: World) -> None:
    row = {"row_key": "a", "profile_id": "p", "note": "x", "gone": None, "nan": float("nan"), "n": 2**53 + 1}
    types = {"note": "varchar", "gone": "timestamp", "nan": "double", "n": "bigint"}
    for nulls, expected in (
        ("skip", {"note": "x", "n": 2**53 + 1}),
        ({"send": ["gone"]}, {"note": "x", "gone": None, "n": 2**53 + 1}),
        ({"send": ["nan", "note"]}, {"note": "x", "nan": None, "n": 2**53 + 1}),
        ("send", {"note": "x", "gone": None, "nan": None, "n": 2**53 + 1}),
    ):
        world.want([row], **types)
        crm = Recorder(at=str(nulls))
        world.deliver(crm, vips(nulls=nulls))
        [(_, _, fields)] = crm.sent()
        assert (fields, list(fields)) == (expected, list(expected))


def test_a_time_with_a_zone_is_sent_in_utc(world: World) -> None:
    world.want([{"row_key": "a", "profile_id": "p", "at": "2026-02-03 01:00:00+02"}], at="timestamptz")
    crm = Recorder()
    world.deliver(crm)
    assert crm.sent() == [("add", "a", {"at": "2026-02-02T23:00:00.000000Z"})]


def test_the_same_inputs_give_the_same_plan(tmp_path: Path) -> None:
    plans = []
    for seed in (1, 2):
        world = World(tmp_path / str(seed))
        rows = list(people(300).items())
        random.Random(seed).shuffle(rows)
        world.want(dict(rows))
        world.deliver(Recorder(batch_size=7), run_id="one")
        rows = [(key, {**fields, "spend_usd": -1.0}) for key, fields in rows if key > "k100"]
        world.want(dict(rows))
        world.deliver(Recorder(), run_id="two")
        plans.append([planned(world, "one"), planned(world, "two")])
    assert plans[0] == plans[1]
    assert [row.ordinal for row in plans[0][1]] == list(range(300))
    assert [row.operation for row in plans[0][1]] == ["remove"] * 101 + ["update"] * 199


def test_no_consent_no_data(world: World) -> None:
    sync, crm = vips(consent=[EMAIL, PROFILING]), Recorder()
    world.want(people(5))
    states = [("p-k000", "granted", "granted"), ("p-k001", "granted", "denied"), ("p-k002", "denied", "granted")]
    world.consent(
        [(p, "gdpr", purpose, state, f"m-{p}-{purpose}") for p, *both in [*states, ("p-k003", "granted")]
         for purpose, state in zip(("email_marketing", "profiling"), both, strict=False)]
        + [("p-k004", "ccpa", "email_marketing", "granted", "x"), ("p-k004", "ccpa", "profiling", "granted", "x")]
    )  # fmt: skip
    summary = world.deliver(crm, sync)
    assert [key for _, key, _ in crm.sent()] == ["k000"]
    assert (summary.withheld, summary.held) == (4, 1)
    assert world.ledger()[0]["consent_message_id"] == "m-p-k000-email_marketing", "the first purpose's grant"


def test_consent_withdrawn_removes_under_the_identifiers_that_were_sent(world: World) -> None:
    sync, crm = vips(consent=[EMAIL], identifiers=["email"]), Recorder()
    world.want(people(2))
    world.grant({"p-k000": "granted", "p-k001": "granted"})
    world.deliver(crm, sync)
    crm.sent()
    world.want({**people(2), "k000": {"email": "moved@x.io", "spend_usd": 0.0}})
    world.grant({"p-k000": "denied", "p-k001": "granted"})
    assert world.owed(sync) == {**NOTHING, "remove": 1, "withheld": 1, "held": 2}
    world.deliver(crm, sync)
    assert crm.sent() == [("remove", "k000", {"email": "0@x.io"})]
    world.grant({"p-k000": "granted", "p-k001": "granted"})
    world.deliver(crm, sync)
    assert crm.sent() == [("add", "k000", {"email": "moved@x.io", "spend_usd": 0.0})]


def test_consent_withdrawn_while_the_process_was_dead_is_obeyed(world: World) -> None:
    class Dead(BaseException):
        pass

    def die(_: Any) -> Any:
        raise Dead

    sync, crm = vips(consent=[EMAIL]), Recorder(die)
    world.want(people(1))
    world.grant({"p-k000": "granted"})
    with pytest.raises(Dead):
        world.deliver(crm, sync)
    world.grant({"p-k000": "denied"})
    calm = Recorder()
    world.deliver(calm, sync)
    assert calm.sent() == [("remove", "k000", {"row_key": "k000"})]


def test_a_row_without_a_profile_needs_one_where_consent_is_needed(world: World) -> None:
    world.want([{"row_key": "a", "profile_id": None, "email": "a@x.io"}])
    assert world.owed(vips(consent=[EMAIL]))["withheld"] == 1
    assert world.owed()["add"] == 1


def test_states_that_contradict_each_other_are_no_consent(world: World) -> None:
    world.want(people(1))
    world.consent([("p-k000", "gdpr", "email_marketing", state, state) for state in ("granted", "denied")])
    assert world.owed(vips(consent=[EMAIL])) == {**NOTHING, "withheld": 1}


def test_the_model_may_name_the_granting_message_itself(world: World) -> None:
    world.want([{"row_key": "a", "profile_id": "p", "consent_message_id": "mine"}])
    world.grant({"p": "granted"})
    world.deliver(Recorder(), vips(consent=[EMAIL]))
    assert world.ledger()[0]["consent_message_id"] == "mine"


GUARDED = {"guard": {"max_removed_percent": 50}}


def test_the_guard_holds_a_collapse(world: World) -> None:
    crm = Recorder()
    world.want(people(20))
    world.deliver(crm)
    crm.sent()
    world.want(people(9))
    with pytest.raises(NeedsAPerson, match=r"nothing was sent, because 11 of the 20 rows held \(55\.0 %\).*vips\.yml"):
        world.deliver(crm, vips(**GUARDED), run_id="held")
    assert crm.sent() == []
    assert not (plans_folder(world.home, "vips") / "held.parquet").exists()
    world.want(people(10))
    assert world.deliver(crm, vips(**GUARDED)).accepted == Counter(remove=10), "50 % is not more than 50 %"


def test_the_guard_rests_where_little_is_held_or_rows_only_move(world: World) -> None:
    crm = Recorder()
    world.want(people(19))
    world.deliver(crm)
    world.want({})
    assert world.deliver(crm, vips(**GUARDED)).accepted == Counter(remove=19), "fewer than min_held"
    world.want(people(40))
    world.deliver(crm)
    moved = {key: {**fields, "email": f"new-{key}@x.io"} for key, fields in people(40).items()}
    world.want(moved)
    everyone = vips(**GUARDED, identifiers=["email"])
    assert world.deliver(crm, everyone).accepted == Counter(remove=40, add=40), "the guard counts no pairs"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"row_key": None, "profile_id": "p9"}], r"1 rows without a row_key \(profile_id p9\)"),
        ([{"row_key": "a", "profile_id": "p"}] * 3, r"row_key 'a' 3 times"),
    ],
)
def test_keys_must_be_there_once(world: World, rows: list[dict[str, Any]], told: str) -> None:
    world.want(rows)
    crm = Recorder()
    with pytest.raises(NeedsAPerson, match=rf"activation\.vips has {told}"):
        world.deliver(crm)
    assert crm.requests == []


def test_models_that_cannot_be_sent_are_named(world: World, tmp_path: Path) -> None:
    with pytest.raises(NeedsAPerson, match=r"activation\.vips or profiles\.consents is not in the warehouse"):
        world.owed()
    world.want(people(1))
    with pytest.raises(NeedsAPerson, match=r"no column 'phone'.*identifiers"):
        world.owed(vips(identifiers=["phone"]))
    world.want([{"row_key": "a", "tags": ["x"]}], tags="varchar[]")
    with pytest.raises(NeedsAPerson, match=r"column 'tags' has the type .*cast it"):
        world.owed()
    empty = World(tmp_path / "empty")
    empty.home.warehouse.unlink()
    with pytest.raises(NothingBuilt):
        empty.owed()


def test_a_model_of_keys_alone_can_be_sent(world: World) -> None:
    with world.warehouse.writing(), duckdb.connect(str(world.home.warehouse)) as connection:
        connection.execute("create schema activation")
        connection.execute(
            "create table activation.vips as select 'a' as row_key, 'p' as profile_id, null::varchar as consent_message_id"
        )
    crm = Recorder()
    world.deliver(crm)
    assert crm.sent() == [("add", "a", {})]


def test_only_the_newest_plans_are_kept(world: World) -> None:
    world.want(people(1))
    for _ in range(7):
        world.deliver(Recorder())
    names = {path.name for path in plans_folder(world.home, "vips").iterdir()}
    assert names == {f"run_{n}.parquet" for n in range(3, 8)}


def test_a_run_id_cannot_leave_the_folder(world: World) -> None:
    world.want(people(1))
    world.deliver(Recorder(), run_id="../../x y")
    [plan] = plans_folder(world.home, "vips").iterdir()
    assert plan.suffix == ".parquet"
    assert world.ledger()[0]["run_id"] == "../../x y"


def test_the_ledger_can_be_read_before_anything_was_sent(tmp_path: Path) -> None:
    Ledger(tmp_path / "deliveries").prepare()
    with duckdb.connect() as connection:
        query = f"from read_parquet('{tmp_path}/deliveries/ledger/*/*.parquet')"
        found = {row[0]: row[1] for row in connection.execute(f"describe {query}").fetchall()}
    assert list(found) == SCHEMA.names
    assert (found["attempt"], found["attempted_at"], found["row_key"]) == ("BIGINT", "TIMESTAMP", "VARCHAR")


def test_a_failed_write_leaves_no_half_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    def full_disk(_: Any, handle: Any, **options: Any) -> None:
        handle.write(b"PAR1 half")
        raise OSError(28, "No space left on device")

    world.want(people(2))
    crm = Recorder()
    with monkeypatch.context() as patched:
        Ledger(world.home.deliveries).prepare()
        patched.setattr(pq, "write_table", full_disk)
        with pytest.raises(OSError, match="No space"):
            world.deliver(crm)
    assert list((world.home.deliveries / "ledger" / "vips").iterdir()) == []
    first = crm.requests[0]
    crm.requests.clear()
    world.deliver(crm)
    assert crm.requests == [first], "the batch in flight, repeated under its keys"
    assert [row["attempt"] for row in world.ledger()] == [1, 1, 2, 2]


def test_deliveries_keep_the_ledger_in_few_files_and_nothing_else_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compacted in the middle of a delivery, and by later ones: what is owed is what it would be anyway."""
    monkeypatch.setattr(of_ledger, "SMALL_FILES", 4)
    crm = Recorder(batch_size=1)
    world.want(people(10))
    crm.answer = lambda operations: [
        Outcome(o.row_key, "refused" if o.row_key == "k003" else "accepted", "", "") for o in operations
    ]
    world.deliver(crm)
    ledger = Ledger(world.home.deliveries)
    assert [file.parent.name for file in ledger.files("vips")] == ["compacted", "vips", "vips"]
    compaction.sweep(world.home)
    assert ledger.next_no("vips") == 11
    assert world.owed() == {**NOTHING, "add": 1, "held": 9}
    summary = world.deliver(crm)
    assert (summary.refused, summary.held) == ({"add": 1}, 9)
    of_ledger.compact(ledger, "vips")
    compaction.sweep(world.home)
    files = ledger.files("vips")
    assert {file.parent.name for file in files} == {"compacted"}
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert [row["ledger_no"] for row in rows] == list(range(1, 12))
    assert [row["attempt"] for row in rows if row["row_key"] == "k003"] == [1, 2]
    world.want(people(8))
    world.deliver(crm)
    assert crm.requests[-1][0].operation == "add"
    assert world.owed() == {**NOTHING, "add": 1, "held": 7}
