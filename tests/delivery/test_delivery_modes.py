"""What each mode sends, who is withheld and why, and what stops a delivery before it begins."""

import hashlib
import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.delivery import plan
from cdp_orchestration.delivery.ledger import Ledger, read_plan
from cdp_orchestration.delivery.permission import kept_at_home
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.delivery.plan import plans_folder
from cdp_orchestration.destinations.base import Outcome
from cdp_orchestration.destinations.file_drop import FileDrop, FileDropConfig
from cdp_orchestration.destinations.webhook import Webhook, WebhookConfig
from cdp_orchestration.errors import NeedsAPerson
from tests.delivery.test_delivery import Recorder, World, people, vips

CONSENT = [{"regulation": "gdpr", "purpose": "email_marketing"}]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def keys(crm: Recorder) -> list[tuple[str, str]]:
    return [(operation, key) for operation, key, _ in crm.sent()]


@pytest.mark.parametrize(
    ("mode", "changed", "left"),
    [
        ("mirror", [("update", "k000")], [("remove", "k001")]),
        ("upsert", [("update", "k000")], []),
        ("update_only", [("update", "k000")], []),
        ("insert_only", [], []),
        ("append", [], []),
    ],
)
def test_a_mode_decides_what_a_change_and_a_leaving_row_do(
    world: World, mode: str, changed: list[Any], left: list[Any]
) -> None:
    crm, sync = Recorder(), vips(mode=mode)
    world.want(people(2))
    world.deliver(crm, sync)
    assert keys(crm) == [("add", "k000"), ("add", "k001")]
    world.want({**people(2), "k000": {"email": "0@x.io", "spend_usd": 9.0}})
    world.deliver(crm, sync)
    assert keys(crm) == changed
    world.want({"k000": {"email": "0@x.io", "spend_usd": 9.0}})
    world.deliver(crm, sync)
    assert keys(crm) == left


@pytest.mark.parametrize("mode", ["mirror", "upsert", "update_only", "insert_only", "append"])
def test_consent_that_is_lost_removes_in_every_mode_but_append(world: World, mode: str) -> None:
    crm, sync = Recorder(), vips(mode=mode, consent=CONSENT)
    world.want(people(2))
    world.grant({"p-k000": "granted", "p-k001": "granted"})
    world.deliver(crm, sync)
    crm.sent()
    world.grant({"p-k000": "denied", "p-k001": "granted"})
    summary = world.deliver(crm, sync)
    assert keys(crm) == ([] if mode == "append" else [("remove", "k000")])
    assert summary.withheld_by == {"no_consent": 1}
    assert world.deliver(crm, sync).planned == {"add": 0, "update": 0, "remove": 0}


def test_events_are_sent_each_once_also_of_one_person(world: World) -> None:
    crm, sync = Recorder(), vips(mode="append", identifiers=["email"])
    events = {f"m{n}": {"email": "a@x.io", "spend_usd": float(n)} for n in range(3)}
    world.want(events)
    world.deliver(crm, sync)
    assert [(o.row_key, o.idempotency_key) for o in crm.requests[0]] == [("m0", "m0"), ("m1", "m1"), ("m2", "m2")]
    assert [o.identifiers for o in crm.requests[0]] == [{"email": "a@x.io"}] * 3
    crm.requests.clear()
    world.want({**events, "m0": {"email": "b@x.io", "spend_usd": 0.0}, "m3": {"email": "a@x.io", "spend_usd": 3.0}})
    assert world.deliver(crm, sync).held == 4
    assert keys(crm) == [("add", "m3")], "an event that belongs to somebody else by now was sent already"


def withheld(**reasons: str | None) -> list[dict[str, Any]]:
    return [
        {"row_key": key, "profile_id": f"p-{key}", "email": f"{key}@x.io", "withheld_reason": r}
        for key, r in reasons.items()
    ]


def test_a_reason_withholds_and_takes_back_but_a_cap_only_holds_back(world: World) -> None:
    types = {"email": "varchar", "withheld_reason": "varchar"}
    crm, sync = Recorder(), vips(guard={"max_removed_percent": None})
    world.want(withheld(a=None, b=None, c=None, d="suppressed"), **types)
    summary = world.deliver(crm, sync)
    assert keys(crm) == [("add", "a"), ("add", "b"), ("add", "c")]
    assert (summary.members, summary.withheld_by) == (4, {"suppressed": 1})
    assert "withheld_reason" not in str(world.ledger())
    world.want(withheld(a="suppressed", b="frequency_cap", c="sampled_out", d=None), **types)
    summary = world.deliver(crm, sync)
    assert keys(crm) == [("remove", "a"), ("add", "d")], "who is there stays there while a cap holds him back"
    assert summary.ladder() == [
        ("members", 4), ("after frequency_cap", 3), ("after sampled_out", 2), ("after suppressed", 1), ("owed", 2), ("sent", 2),
        ("accepted", 2), ("refused", 0),
    ]  # fmt: skip


def test_a_model_without_rows_sends_nothing_until_somebody_allows_it_once(world: World) -> None:
    crm = Recorder()
    world.want(people(25))
    world.deliver(crm)
    crm.sent()
    world.want([])
    with pytest.raises(NeedsAPerson, match=r"its model has no rows, while the destination holds 25.*--allow-once"):
        world.deliver(crm)
    Ledger(world.home.deliveries).decide("vips", "allow_once", Place("fake", crm.address()))
    assert world.deliver(crm).accepted == Counter(remove=25)
    world.want(people(25))
    world.deliver(crm)
    world.want(people(5))
    with pytest.raises(NeedsAPerson, match=r"20 of the 25 rows held \(80.0 %\)"):
        world.deliver(crm)


@pytest.mark.parametrize(("guard", "stops"), [({"max_removed": 4}, True), ({"max_removed": 5}, False)])
def test_a_number_of_removals_stops_it(world: World, guard: dict[str, int], stops: bool) -> None:
    crm = Recorder()
    world.want(people(25))
    world.deliver(crm)
    world.want(dict(list(people(25).items())[5:]))
    if stops:
        with pytest.raises(NeedsAPerson, match=r"5 rows would be removed, more than guard\.max_removed = 4"):
            world.deliver(crm, vips(guard=guard))
    else:
        assert world.deliver(crm, vips(guard=guard)).accepted == Counter(remove=5)


def test_a_column_that_is_gone_or_another_stops_it_and_a_new_one_is_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cdp")
    crm = Recorder()
    world.want(people(2))
    world.deliver(crm)
    world.want({key: {"email": row["email"]} for key, row in people(2).items()}, email="varchar")
    with pytest.raises(NeedsAPerson, match="column 'spend_usd' is gone"):
        world.deliver(crm)
    world.want(
        {key: {**row, "spend_usd": str(row["spend_usd"])} for key, row in people(2).items()},
        email="varchar",
        spend_usd="varchar",
    )
    with pytest.raises(NeedsAPerson, match="column 'spend_usd' was number and is text"):
        world.deliver(crm)
    world.want(
        {key: {**row, "city": "Ulm"} for key, row in people(2).items()},
        email="varchar",
        spend_usd="double",
        city="varchar",
    )
    assert world.deliver(crm).accepted == Counter(update=2)
    assert "because column 'city' is new" in caplog.text
    said = json.loads((world.home.deliveries / "mappings" / "vips.json").read_text())
    assert said["fake here"]["columns"] == {"email": "text", "spend_usd": "number", "city": "text"}


def test_a_batch_has_no_more_bytes_than_the_destination_takes(world: World) -> None:
    crm = Recorder()
    crm.batch_bytes = 1_000
    world.want({"a": {"email": "x" * 5_000, "spend_usd": 1.0}, **people(6)})
    world.deliver(crm)
    assert [len(request) for request in crm.requests] == [1, 3, 3]


def test_a_home_sends_only_to_this_machine_until_it_may(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CDP_DELIVER", raising=False)
    for url, stays in (
        ("http://127.0.0.1:8080/x", False), ("http://localhost/x", False), ("http://[::1]:1/x", False),
        ("https://crm.example.com/x", True), ("http://10.0.0.7/x", True), ("http://127.0.0.1.example.com/", True),
    ):  # fmt: skip
        hook = Webhook(WebhookConfig(kind="webhook", url=url), tmp_path)
        assert bool(kept_at_home(hook, "crm")) == stays, url
        with monkeypatch.context() as patched:
            patched.setenv("CDP_DELIVER", "on")
            assert kept_at_home(hook, "crm") is None
        if stays:
            assert "CDP_DELIVER=on" in str(kept_at_home(hook, "crm"))
    assert kept_at_home(FileDrop(FileDropConfig(kind="file_drop"), tmp_path), "desk") is None


def test_a_refusal_is_no_acceptance_of_an_event(world: World) -> None:
    crm = Recorder(
        lambda operations: [Outcome(o.row_key, "refused" if o.row_key == "m0" else "accepted") for o in operations]
    )
    world.want({f"m{n}": {"email": "a@x.io", "spend_usd": 1.0} for n in range(2)})
    assert world.deliver(crm, vips(mode="append")).held == 1
    crm.sent()
    world.deliver(crm, vips(mode="append"))
    assert keys(crm) == [("add", "m0")]


def test_a_destination_gets_identifiers_in_its_formats_and_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cdp")
    declared = vips(identifiers={"email": "address", "phone": "mobile"}, default_region="DE")
    sync = replace(declared, formats={"email": "email_sha256", "phone": "phone"})
    rows = {
        "a": {"address": " A@x.io ", "mobile": "0151 23456789", "city": "Ulm"},
        "b": {"address": None, "mobile": "12", "city": "Bonn"},
        "c": {"address": "nobody", "mobile": "0151 2345678", "city": None},
    }
    world.want(rows, address="varchar", mobile="varchar", city="varchar")
    crm = Recorder()
    assert world.deliver(crm, sync).withheld_by == {"no_accepted_identifier": 1}
    a, c = crm.requests[0]
    hashed = hashlib.sha256(b"a@x.io").hexdigest()
    assert (a.identifiers, a.fields) == ({"email": hashed, "phone": "+4915123456789"}, {"city": "Ulm"})
    assert (c.identifiers, c.fields) == ({"email": None, "phone": "+491512345678"}, {})
    assert world.owed(sync)["add"] == world.owed(sync)["update"] == 0
    frozen = plans_folder(world.home, "vips") / "run_1.parquet"
    assert "A@x.io" not in str(list(read_plan(frozen))), "what a destination does not get is not written down"
    monkeypatch.setattr(plan, "VERSION", "2/test")
    assert world.deliver(crm, sync).accepted == Counter(update=2)
    assert "because normalisation is another" in caplog.text
    world.want({"c": rows["c"]}, address="varchar", mobile="varchar", city="varchar")
    crm.requests.clear()
    world.deliver(crm, sync)
    assert [(o.operation, o.identifiers) for o in crm.requests[0]] == [("remove", a.identifiers)]
