"""Two days, three ways: A builds after each day, B once after both, C is A followed by a full refresh. All agree.

And once more on PostgreSQL: P builds after each day what A landed, then all anew. It agrees with DuckDB row by row."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.demo.company import write_company
from cdp_orchestration.demo.receiver import Receiver
from cdp_orchestration.demo.run import TOKEN
from tests.support.harness import Platform

DAY_1, DAY_2 = 90, 120
AS_OF = {DAY_1: "2026-10-02T00:00:00", DAY_2: "2026-11-01T00:00:00"}
PEOPLE = 300

AGREE = {
    "identifiers": "select * from identity.identifiers",
    "merges": "select * from identity.merges",
    "refusals": "select * from identity.refusals",
    "messages": "select message_id, arrival, identifiers from staging.messages",
    "intake": "select batch_id, record_no, fate from staging.intake",
    "quarantine": "select batch_id, record_no, scope, reason, field from staging.quarantine",
    "events": "select message_id, profile_id from profiles.events",
    "profiles": "select * from profiles.profiles",
    "traits": "select * from profiles.traits",
    "trait_writes": "select * from profiles.trait_writes",
    "trait_history": "select * from profiles.trait_history",
    "devices": "select * from profiles.devices",
    "device_sightings": "select * from profiles.device_sightings",
    "consents": "select * from profiles.consents",
    "lifetime_value": "select * from attributes.lifetime_value",
    "order_count": "select * from attributes.order_count",
    "last_seen": "select * from attributes.last_seen",
    "favourite_destination": "select * from attributes.favourite_destination",
    "sessions_30d": "select * from attributes.sessions_30d",
    "trips_searched_30d": "select * from attributes.trips_searched_30d",
    "destinations_viewed_90d": "select * from attributes.destinations_viewed_90d",
    "last_cart_price_usd": "select * from attributes.last_cart_price_usd",
    "average_order_value_usd": "select * from attributes.average_order_value_usd",
    "rfm": "select * from attributes.rfm",
    "behaviour": "select * from attributes.behaviour",
    "email_engagement": "select * from attributes.email_engagement",
    "first_ordered_at": "select * from attributes.first_ordered_at",
    "preferred_campaign": "select * from attributes.preferred_campaign",
    "days_since_last_order": "select * from attributes.days_since_last_order",
    "newsletter_to_crm": "select * from activation.newsletter_to_crm",
    "vips_to_file": "select * from activation.vips_to_file",
    "members": "select audience, profile_id from audiences.memberships where exited_at is null",
}
OBSERVED = {
    "changes": 'select audience, profile_id, change, "at" from audiences.changes',
    "sizes": 'select audience, members, entered, exited, "at" from audiences.sizes where entered + exited > 0',
    "ledger": "select sync, row_key, operation, status, payload_hash, idempotency_key from activation.deliveries",
}
# A rebuild works everything out whole.
IN_PART = {"calculated": "select relation, is_whole from profiles.calculated"}


def seen(platform: Platform, queries: dict[str, str]) -> dict[str, list[str]]:
    return {name: sorted(map(repr, platform.rows(sql))) for name, sql in queries.items()}


class Way:
    """A platform with a receiver of its own."""

    def __init__(self, root: Path, engine: dict[str, str] | None = None) -> None:
        self.platform = Platform(root, engine=engine or {})
        self.state = root / "receiver" / "state.json"

    def build(self, day: int, *more: str) -> None:
        with Receiver(self.state, TOKEN) as receiver:
            self.platform.run(
                "--as-of",
                AS_OF[day],
                *more,
                CRM_WEBHOOK_URL=receiver.url,
                CRM_WEBHOOK_TOKEN=TOKEN,
                CRM_WEBHOOK_ACCOUNT="test",
            )

    def holds(self) -> dict[str, dict[str, Any]]:
        with Receiver(self.state, TOKEN) as receiver:
            return receiver.held("newsletter_to_crm")

    def drops(self) -> dict[str, Any]:
        """What the sales desk holds after reading all files in order."""
        held: dict[str, Any] = {}
        operations = self.platform.rows(
            "select identifiers_sent, operation from activation.deliveries where sync = 'vips_to_file' "
            "and status = 'accepted' order by attempted_at, operation desc"
        )
        for known_by, operation in operations:
            if operation == "remove":
                held.pop(known_by, None)
            else:
                held[known_by] = True
        return held


def day(root: Path, until: int) -> None:
    write_company(root / "company", root / "truth", people=PEOPLE, until_day=until)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Way]]:
    """A, B and C over the same landing batches: day 1's and day 2's, landed once each."""
    a = Way(tmp_path_factory.mktemp("a"))
    day(a.platform.root, DAY_1)
    a.build(DAY_1)
    first = seen(a.platform, OBSERVED)
    shutil.copytree(a.platform.root / "landing", a.platform.root / "landed_by_day_1")
    first |= seen(a.platform, AGREE)
    day(a.platform.root, DAY_2)
    a.build(DAY_2)

    b = Way(tmp_path_factory.mktemp("b"))
    shutil.copytree(a.platform.root / "landing", b.platform.root / "landing")
    b.build(DAY_2)

    c = Way(tmp_path_factory.mktemp("c"))
    shutil.rmtree(c.platform.root)
    shutil.copytree(a.platform.root, c.platform.root, ignore=shutil.ignore_patterns("dbt", "dagster", "logs"))
    c.build(DAY_2, "--full-refresh")
    return {"a": a, "b": b, "c": c, "first": first}  # type: ignore[dict-item]


@pytest.mark.parametrize("name", AGREE)
def test_increments_one_build_and_a_rebuild_agree(ways: dict[str, Way], name: str) -> None:
    sql = {name: AGREE[name]}
    expected = seen(ways["a"].platform, sql)
    assert expected[name], f"{name} is empty: the comparison would prove nothing"
    assert seen(ways["b"].platform, sql) == expected
    assert seen(ways["c"].platform, sql) == expected


def test_the_destinations_hold_the_same_whichever_way(ways: dict[str, Way]) -> None:
    assert ways["a"].holds()
    assert ways["a"].holds() == ways["b"].holds() == ways["c"].holds()
    assert ways["a"].drops()
    assert ways["a"].drops() == ways["b"].drops() == ways["c"].drops()
    wanted = {key for (key,) in ways["a"].platform.rows("select row_key from activation.newsletter_to_crm")}
    refused = {
        key
        for (key,) in ways["a"].platform.rows(
            "select row_key from activation.deliveries where sync = 'newsletter_to_crm' and status = 'refused'"
        )
    }
    assert set(ways["a"].holds()) == wanted - refused


def test_a_rebuild_leaves_the_observations_alone(ways: dict[str, Way]) -> None:
    assert seen(ways["c"].platform, OBSERVED) == seen(ways["a"].platform, OBSERVED)


def test_the_second_day_sends_only_the_difference(ways: dict[str, Way]) -> None:
    before = {json.dumps(row) for row in ways["first"]["ledger"]}  # type: ignore[index]
    assert before
    rows = ways["a"].platform.rows(
        "select row_key, payload_hash, count(*) from activation.deliveries "
        "where status = 'accepted' and operation <> 'remove' group by all having count(*) > 1"
    )
    again = ways["a"].platform.rows(
        "select count(*) from (select sync, row_key, operation, lag(operation) over w as earlier, payload_hash, "
        "lag(payload_hash) over w as earlier_hash from activation.deliveries where status = 'accepted' "
        "window w as (partition by sync, row_key order by attempted_at)) where operation <> 'remove' "
        "and earlier is not null and earlier <> 'remove' and payload_hash = earlier_hash"
    )
    assert again == [(0,)], rows
    total = ways["a"].platform.rows("select count(*) from activation.deliveries where sync = 'newsletter_to_crm'")[0][0]
    assert total > len(ways["a"].holds()), "day 2 should have changed something"


@pytest.fixture(scope="module")
def on_postgres(
    ways: dict[str, Way], postgres: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Way, list[dict[str, list[str]]]]:
    """P, and what it saw after day 1, after day 2, and after a rebuild. Its sources are empty: it has A's landing."""
    p = Way(tmp_path_factory.mktemp("p"), postgres)
    landed = ways["a"].platform.root
    shutil.copytree(landed / "landed_by_day_1", p.platform.root / "landing")
    p.build(DAY_1)
    steps = [seen(p.platform, AGREE | OBSERVED)]
    shutil.copytree(landed / "landing", p.platform.root / "landing", dirs_exist_ok=True)
    p.build(DAY_2)
    steps.append(seen(p.platform, AGREE | OBSERVED | IN_PART))
    p.build(DAY_2, "--full-refresh")
    steps.append(seen(p.platform, AGREE | OBSERVED))
    return p, steps


@pytest.mark.parametrize("name", AGREE | OBSERVED)
def test_postgres_agrees_with_duckdb(
    ways: dict[str, Way], on_postgres: tuple[Way, list[dict[str, list[str]]]], name: str
) -> None:
    _, (day_1, day_2, rebuilt) = on_postgres
    expected = seen(ways["a"].platform, {name: (AGREE | OBSERVED)[name]})[name]
    assert day_1[name] == ways["first"][name]  # type: ignore[index]
    assert day_2[name] == expected
    assert rebuilt[name] == expected


def test_on_the_second_day_attributes_were_recomputed_in_part(
    ways: dict[str, Way], on_postgres: tuple[Way, list[dict[str, list[str]]]]
) -> None:
    found = seen(ways["a"].platform, IN_PART)["calculated"]
    assert found == on_postgres[1][1]["calculated"]
    assert "('trips_searched_30d', False)" in found
    assert not [relation for relation in found if relation.endswith("True)")]


def test_the_destinations_hold_the_same_from_postgres(
    ways: dict[str, Way], on_postgres: tuple[Way, list[dict[str, list[str]]]]
) -> None:
    p, _ = on_postgres
    assert p.holds() == ways["a"].holds()
    assert p.drops() == ways["a"].drops()


def test_each_landed_file_is_loaded_once(on_postgres: tuple[Way, list[dict[str, list[str]]]]) -> None:
    p, _ = on_postgres
    assert not (p.platform.root / "warehouse.duckdb").exists()
    counted = p.platform.rows("select records from landing._batches where stream = 'events' order by batch_seq")
    assert len(counted) > 1
    assert p.platform.rows("select count(*) from landing.web__events") == [(sum(row[0] for row in counted),)]


def test_the_verbs_read_from_postgres(on_postgres: tuple[Way, list[dict[str, list[str]]]], tmp_path: Path) -> None:
    """They print what they print over DuckDB; here, that they print what is in the tables."""
    platform = on_postgres[0].platform
    [(profile_id, kind, value)] = platform.rows(
        "select profile_id, identifier_type, identifier_value from identity.identifiers where profile_id = "
        "(select min(into_profile_id) from identity.merges) order by 2, 3 limit 1"
    )
    shown = platform.cdp("profile", f"{kind}={value}")
    assert profile_id in shown.stdout, shown.stderr
    why = platform.cdp("why", f"{kind}={value}", f"{kind}={value}")
    assert why.returncode == 0 or "Traceback" not in why.stderr
    [(refused,)] = platform.rows("select count(*) from staging.quarantine where reason = 'unknown_type'")
    assert refused
    quarantined = platform.cdp("quarantine")
    assert "unknown_type" in quarantined.stdout, quarantined.stderr
    status = platform.cdp("status")
    assert "newsletter_to_crm" in status.stdout, status.stderr
    assert "Traceback" not in status.stderr
    rules = tmp_path / "rules.yml"
    rules.write_text("identifiers: {email: {limit: 1}}")
    told = platform.cdp("what-if", str(rules))
    assert told.returncode == 0, told.stderr
    [(people,)] = platform.rows("select count(distinct profile_id) from identity.identifiers")
    assert f"{people:,}" in told.stdout
