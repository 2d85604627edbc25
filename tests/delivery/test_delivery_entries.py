"""Rows that a destination cannot tell apart are one entry there; a profile's new id takes nobody out."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from cdp_orchestration.delivery.ledger import SCHEMA, Entry, Ledger, Planned
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.destinations.base import Operation, Outcome
from cdp_orchestration.errors import NeedsAPerson, TryAgain
from tests.delivery.test_delivery import NOTHING, Recorder, World, accept, vips

CONSENT = [{"regulation": "gdpr", "purpose": "email_marketing"}]
BY_EMAIL = vips(identifiers=["email"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def family(*keys: str, **others: str) -> dict[str | None, dict[str, Any]]:
    """Rows that share an address, and others that do not."""
    rows: dict[str | None, dict[str, Any]] = {
        key: {"email": "family@x.io", "spend_usd": float(ord(key[0]))} for key in keys
    }
    return rows | {key: {"email": email, "spend_usd": 0.0} for key, email in others.items()}


def test_the_smallest_row_key_stands_for_all_that_share_its_identifiers(world: World) -> None:
    crm = Recorder()
    world.want(family("b", "a", "c", d="d@x.io"))
    assert world.owed(BY_EMAIL) == {**NOTHING, "add": 2, "shared": 2}
    summary = world.deliver(crm, BY_EMAIL)
    assert [key for _, key, _ in crm.sent()] == ["a", "d"]
    assert (summary.shared, summary.withheld, summary.held) == (2, 0, 2)
    assert world.owed(BY_EMAIL) == {**NOTHING, "shared": 2, "held": 2}


def test_who_leaves_is_followed_by_the_next_and_the_last_one_is_removed(world: World) -> None:
    sync, crm = (
        vips(identifiers=["email"], consent=CONSENT, guard={"max_removed_percent": 0, "min_held": 0}),
        Recorder(),
    )
    world.want(family("a", "b", "c"))
    world.grant({"p-a": "granted", "p-b": "granted", "p-c": "granted"})
    world.deliver(crm, sync)
    crm.sent()
    world.grant({"p-a": "granted", "p-b": "denied", "p-c": "granted"})
    summary = world.deliver(crm, sync)
    assert (crm.sent(), summary.withheld, summary.shared, summary.held) == ([], 1, 1, 1), "b was not the one sent"
    world.grant({"p-a": "denied", "p-b": "denied", "p-c": "granted"})
    summary = world.deliver(crm, sync)
    assert crm.sent() == [("update", "c", {"email": "family@x.io", "spend_usd": 99.0})]
    assert (summary.withheld, summary.shared, summary.held) == (2, 0, 1)
    world.want(family("a", "b"))
    with pytest.raises(NeedsAPerson, match=r"1 of the 1 rows held \(100\.0 %\)"):
        world.deliver(crm, sync)
    world.deliver(crm, vips(identifiers=["email"], consent=CONSENT))
    assert crm.sent() == [("remove", "c", {"email": "family@x.io"})]
    world.grant({"p-a": "granted", "p-b": "denied"})
    assert world.deliver(crm, sync).accepted == Counter(add=1), "and he comes back"


def test_who_moves_away_leaves_the_entry_to_the_next(world: World) -> None:
    crm = Recorder()
    world.want(family("a", "b"))
    world.deliver(crm, BY_EMAIL)
    crm.sent()
    world.want(family("b", a="own@x.io"))
    world.deliver(crm, BY_EMAIL)
    assert crm.sent() == [
        ("add", "a", {"email": "own@x.io", "spend_usd": 0.0}),
        ("update", "b", {"email": "family@x.io", "spend_usd": 98.0}),
    ]
    world.want(family("a", "b"))
    summary = world.deliver(crm, BY_EMAIL)
    assert [operation[:2] for operation in crm.sent()] == [("remove", "a"), ("update", "a")]
    assert (summary.held, summary.shared) == (1, 1)
    assert world.deliver(crm, BY_EMAIL).planned == {"add": 0, "update": 0, "remove": 0}


def test_a_handed_over_entry_does_not_wait_for_another_ones_removal(world: World) -> None:
    """b leaves, a takes over its address; that a's old address cannot be removed must not keep b's values there."""

    def refuse_removals(operations: list[Operation]) -> list[Outcome]:
        return [Outcome(o.row_key, "refused" if o.operation == "remove" else "accepted") for o in operations]

    crm = Recorder()
    world.want(family("b", a="own@x.io"))
    world.deliver(crm, BY_EMAIL)
    crm.sent()
    crm.answer = refuse_removals
    world.want(family("a"))
    assert world.deliver(crm, BY_EMAIL).accepted == Counter(update=1)


def test_in_upsert_an_entry_goes_on_and_nothing_is_removed(world: World) -> None:
    sync, crm = vips(identifiers=["email"], mode="upsert"), Recorder()
    for rows in (family("a", "b"), family("b"), family()):
        world.want(rows)
        world.deliver(crm, sync)
    assert [operation[:2] for operation in crm.sent()] == [("add", "a"), ("update", "b")]


@pytest.mark.parametrize("nothing", [None, "", "  ", "\t"])
def test_rows_without_identifiers_are_not_one(world: World, nothing: str | None) -> None:
    crm = Recorder()
    world.want({"a": {"email": nothing}, "b": {"email": nothing}, "c": {"email": "null"}})
    assert world.deliver(crm, BY_EMAIL).accepted == Counter(add=3)
    world.want({"b": {"email": nothing}, "c": {"email": "null"}})
    crm.sent()
    world.deliver(crm, BY_EMAIL)
    assert [operation[:2] for operation in crm.sent()] == [("remove", "a")]


def test_identifiers_are_compared_all_together(world: World) -> None:
    sync, crm = vips(identifiers=["email", "phone"]), Recorder()
    rows = [("a", "x@x.io", "1"), ("b", "x@x.io", "2"), ("c", "x@x.io", None), ("d", "x@x.io", None), ("e", None, "1")]
    world.want(
        [{"row_key": key, "email": email, "phone": phone} for key, email, phone in rows],
        email="varchar",
        phone="varchar",
    )
    world.deliver(crm, sync)
    assert [key for _, key, _ in crm.sent()] == ["a", "b", "c", "e"]


def test_a_hand_over_of_unknown_outcome_is_sent_again_or_removed(world: World) -> None:
    def fail(operations: list[Operation]) -> list[Outcome]:
        raise TryAgain("timeout")

    crm = Recorder()
    world.want(family("a", "b"))
    world.deliver(crm, BY_EMAIL)
    crm.answer = fail
    world.want(family("b"))
    world.deliver(crm, BY_EMAIL)
    crm.sent()
    crm.answer = accept
    world.want(family("a", "b"))
    world.deliver(crm, BY_EMAIL)
    assert [operation[:2] for operation in crm.sent()] == [("update", "a")], "b's values may have arrived"
    crm.answer = fail
    world.want(family("b"))
    world.deliver(crm, BY_EMAIL)
    crm.sent()
    crm.answer = accept
    world.want({})
    world.deliver(crm, BY_EMAIL)
    assert [operation[0] for operation in crm.sent()] == ["remove"], "one entry, one removal"
    assert world.deliver(crm, BY_EMAIL).planned["remove"] == 0


def old_ledger(world: World, *rows: tuple[str, str, str]) -> None:
    """Accepted (operation, row_key, email), as version 93c4165 wrote them: without destination and address."""
    ledger = Ledger(world.home.deliveries)
    entries = [
        Entry(Planned(n, operation, key, f"p-{key}", "", f'{{"email":"{email}"}}', f"hash of {key}", None, f"key {n}", 1),
              "accepted", "200", "")
        for n, (operation, key, email) in enumerate(rows)
    ]  # fmt: skip
    ledger.append("vips", "long ago", entries, Place(None, None))
    for file in (world.home.deliveries / "ledger").glob("*/*.parquet"):
        pq.write_table(pq.read_table(file).select(SCHEMA.names[:-2]), file)


def test_an_old_ledger_that_holds_both_of_two_removes_neither_for_the_others_sake(world: World) -> None:
    crm = Recorder()
    old_ledger(world, ("add", "a", "family@x.io"), ("add", "b", "family@x.io"))
    world.want(family("a"))
    assert world.owed(BY_EMAIL) == {**NOTHING, "update": 1, "held": 1}
    summary = world.deliver(crm, BY_EMAIL)
    assert ([operation[:2] for operation in crm.sent()], summary.held) == ([("update", "a")], 1)
    world.want({})
    world.deliver(crm, BY_EMAIL)
    assert crm.sent() == [("remove", "a", {"email": "family@x.io"})]
    assert world.deliver(crm, BY_EMAIL).held == 0


def test_whom_an_old_version_took_out_comes_back(world: World) -> None:
    crm = Recorder()
    old_ledger(world, ("add", "a", "family@x.io"), ("add", "b", "family@x.io"), ("remove", "b", "family@x.io"))
    world.want(family("a"))
    world.deliver(crm, BY_EMAIL)
    assert [operation[:2] for operation in crm.sent()] == [("add", "a")]


# A profile's id may change without anybody leaving.


def people(world: World, ids: str, splits: list[tuple[str, str]], kind: str = "split") -> None:
    """profiles.profiles holds these ids (a letter each), identity.merges these changes."""
    with world.warehouse.writing(), duckdb.connect(str(world.home.warehouse)) as connection:
        connection.execute("create schema if not exists profiles; create schema if not exists identity")
        connection.execute("create or replace table profiles.profiles (profile_id varchar)")
        connection.execute(
            "create or replace table identity.merges (kind varchar, from_profile_id varchar, into_profile_id varchar)"
        )
        for profile_id in ids:
            connection.execute("insert into profiles.profiles values (?)", [profile_id])
        for pair in splits:
            connection.execute("insert into identity.merges values (?, ?, ?)", [kind, *pair])


def by_profile(**spend: float) -> list[dict[str, Any]]:
    return [{"row_key": key, "profile_id": key, "email": "e@x.io", "spend_usd": value} for key, value in spend.items()]


@pytest.mark.parametrize(
    ("splits", "ids"),
    [
        ([("o", "n")], "n"),
        ([("o", "m"), ("m", "n")], "n"),
        ([("o", "n"), ("o", "z")], "nz"),
    ],
    ids=["renamed", "renamed by way of another", "one of two heirs is wanted"],
)
def test_a_renamed_profile_goes_on_under_the_key_that_the_destination_knows(
    world: World, splits: list[tuple[str, str]], ids: str
) -> None:
    crm = Recorder()
    world.want(by_profile(o=1.0, q=1.0))
    world.deliver(crm)
    crm.sent()
    people(world, ids + "q", splits)
    world.want(by_profile(n=1.0, q=1.0))
    assert world.owed() == {**NOTHING, "held": 2}, "nothing is removed, nothing is sent"
    world.want(by_profile(n=2.0, q=1.0))
    world.deliver(crm)
    assert crm.sent() == [("update", "o", {"email": "e@x.io", "spend_usd": 2.0})]
    assert world.ledger()[-1]["profile_id"] == "n"
    world.want(by_profile(q=1.0))
    world.deliver(crm)
    assert crm.sent() == [("remove", "o", {"row_key": "o"})]
    world.want(by_profile(n=2.0, q=1.0))
    world.deliver(crm)
    assert [operation[:2] for operation in crm.sent()] == [("add", "n")], "it left, and comes back as what it is"


def test_of_two_heirs_one_gets_the_key_and_keeps_it(world: World) -> None:
    crm = Recorder()
    world.want([{**row, "email": f"{row['row_key']}@x.io"} for row in by_profile(o=1.0)])
    world.deliver(crm)
    people(world, "mn", [("o", "n"), ("o", "m")])
    world.want(by_profile(n=2.0))
    world.deliver(crm)
    crm.sent()
    world.want([{**row, "email": f"{row['row_key']}@x.io"} for row in by_profile(m=2.0, n=2.0)])
    world.deliver(crm)
    assert [operation[:2] for operation in crm.sent()] == [("add", "m"), ("update", "o")]
    assert world.deliver(crm).planned == {"add": 0, "update": 0, "remove": 0}


@pytest.mark.parametrize(
    "change",
    [
        lambda world: people(world, "on", [("o", "n")]),
        lambda world: people(world, "n", []),
        lambda world: None,
    ],
    ids=["its old profile lives on", "nobody was renamed", "no identity in the warehouse"],
)
def test_who_was_not_renamed_is_removed_and_added(world: World, change: Callable[[World], None]) -> None:
    crm = Recorder()
    world.want(by_profile(o=1.0))
    world.deliver(crm)
    crm.sent()
    change(world)
    world.want(by_profile(n=1.0))
    world.deliver(crm)
    assert [operation[:2] for operation in crm.sent()] == [("remove", "o"), ("add", "n")]


def test_a_key_that_is_there_already_needs_no_former_one(world: World) -> None:
    crm = Recorder()
    world.want(by_profile(o=1.0, n=1.0))
    world.deliver(crm)
    crm.sent()
    people(world, "n", [("o", "n")])
    world.want(by_profile(n=1.0))
    world.deliver(crm)
    assert [operation[:2] for operation in crm.sent()] == [("remove", "o")]


def test_a_row_key_of_the_models_own_is_no_profiles(world: World) -> None:
    crm = Recorder()
    world.want([{"row_key": "o", "profile_id": "x"}])
    world.deliver(crm)
    crm.sent()
    people(world, "n", [("o", "n")])
    world.want([{"row_key": "n", "profile_id": "x"}])
    world.deliver(crm)
    assert [operation[:2] for operation in crm.sent()] == [("remove", "o"), ("add", "n")]


def test_an_entry_by_email_of_a_renamed_profile_stays_an_entry(world: World) -> None:
    crm = Recorder()
    world.want(by_profile(o=1.0))
    world.deliver(crm, BY_EMAIL)
    crm.sent()
    world.want(by_profile(n=1.0))
    world.deliver(crm, BY_EMAIL)
    assert [operation[:2] for operation in crm.sent()] == [("update", "n")]
    people(world, "p", [("n", "p")])
    world.want(by_profile(p=1.0))
    world.deliver(crm, BY_EMAIL)
    assert [operation[:2] for operation in crm.sent()] == [("update", "p")], "what it is known by did not change"
    assert world.deliver(crm, BY_EMAIL).planned == {"add": 0, "update": 0, "remove": 0}


def test_a_profile_that_an_older_one_absorbed_goes_on_too(world: World) -> None:
    """As when arrival order got its present meaning: of two merged profiles the other one's id is the person's now."""
    crm = Recorder()
    world.want(by_profile(o=1.0, q=1.0))
    world.deliver(crm)
    crm.sent()
    people(world, "n", [("o", "n"), ("q", "n")], kind="merge")
    world.want(by_profile(n=1.0))
    world.deliver(crm)
    assert [operation[:2] for operation in crm.sent()] == [("remove", "q")], "two became one, under one of their keys"
    assert world.deliver(crm).planned == {"add": 0, "update": 0, "remove": 0}
