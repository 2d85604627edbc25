"""The demo company is the same every time, grows by adding files, and shows every kind of mess."""

import csv
import gzip
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import networkx as nx
import pyarrow.parquet as pq
import pytest

from cdp_orchestration.demo.company import AS_OF, DAYS, CompanySummary, write_company
from cdp_orchestration.demo.company.people import KIOSK
from cdp_orchestration.demo.company.web import JUNK
from cdp_orchestration.home import PROJECT_ROOT

MESS = {
    "aliases",
    "anonymous_then_logged_in",
    "batch_envelopes",
    "chain_links",
    "consents_given",
    "consents_withdrawn",
    "crm_rows_changed",
    "crm_rows_malformed",
    "crm_rows_unchanged",
    "email_late",
    "email_repeated_in_later_file",
    "emails_in_other_spelling",
    "events_from_the_future",
    "external_ids",
    "groups",
    "honest_repeats_without_message_id",
    "impossible_timestamps",
    "junk_identifiers",
    "kiosk_visits",
    "late_events",
    "lines_not_json",
    "lines_truncated",
    "lines_with_array",
    "lines_with_number",
    "messages_in_envelopes",
    "people_with_several_devices",
    "phones_in_other_spelling",
    "repeated_in_later_file",
    "repeated_in_same_file",
    "shared_browsers",
    "skewed_clocks",
    "tracks_without_event",
    "unknown_types",
    "without_identifier",
}


class Written(NamedTuple):
    """A company on disk."""

    folder: Path
    truth: Path
    summary: CompanySummary


def write(where: Path, people: int = 200, until_day: int | None = None) -> Written:
    summary = write_company(where / "company", where / "truth", people, until_day)
    return Written(where / "company", where / "truth", summary)


def bytes_of(folder: Path) -> dict[str, str]:
    """Each file's path below the folder, and a hash of what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines_of(folder: Path) -> list[str]:
    """The lines of all web files, in the order of their names."""
    lines: list[str] = []
    for path in sorted((folder / "web").iterdir()):
        content = path.read_bytes()
        lines += (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()
    return lines


def messages_of(folder: Path) -> list[dict[str, Any]]:
    """The messages of all readable lines, envelopes unfolded."""
    messages: list[dict[str, Any]] = []
    for line in lines_of(folder):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            messages += record.get("batch", [record])
    return messages


def identifiers_of(message: dict[str, Any]) -> set[tuple[str, str]]:
    """As the inbox fields of design.md read them, junk left out."""
    context = message.get("context", {})
    device = context.get("device", {})
    found = {
        ("user_id", message.get("userId")),
        ("anonymous_id", message.get("anonymousId")),
        ("email", message.get("traits", {}).get("email")),
        ("email", context.get("traits", {}).get("email")),
    }
    if device.get("id") != KIOSK:
        found.add((f"{device.get('type')}_id", device.get("id")))
    if device.get("adTrackingEnabled"):
        found.add((f"{device['type']}_idfa", device["advertisingId"]))
    return {
        (kind, value.strip() if kind in ("user_id", "anonymous_id") else value.strip().lower())
        for kind, value in found
        if value and value not in JUNK
    }


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("whole"), people=5000)


def test_the_same_bytes_come_out_under_any_hash_seed_and_time_zone(small: Written, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from cdp_orchestration.demo.company import write_company; "
        "write_company(Path('company'), Path('truth'), people=200)"
    )
    for number, (hash_seed, zone) in enumerate([("1", "UTC"), ("2", "Pacific/Auckland")]):
        where = tmp_path / str(number)
        where.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone, "PYTHONPATH": str(PROJECT_ROOT)}
        subprocess.run([sys.executable, "-c", code], cwd=where, env=environment, check=True)
        assert bytes_of(where / "company") == bytes_of(small.folder)
        assert bytes_of(where / "truth") == bytes_of(small.truth)


@pytest.mark.parametrize("day", [1, 2, 48, 119])
def test_an_earlier_day_has_a_part_of_the_same_files(small: Written, tmp_path: Path, day: int) -> None:
    early = bytes_of(write(tmp_path, until_day=day).folder)
    late = bytes_of(small.folder)
    early.pop("shop.db")
    assert early.items() < late.items()
    last = AS_OF - timedelta(days=DAYS - day + 1)
    wanted = [name for name in late if name != "shop.db" and dated(name) <= last]
    assert sorted(early) == sorted(wanted)


def dated(name: str) -> datetime:
    return datetime.strptime(name.split("-", 1)[1][:10], "%Y-%m-%d")


def test_day_by_day_ends_where_all_at_once_does(small: Written, tmp_path: Path) -> None:
    for day in (1, 2, 60, DAYS):
        grown = write(tmp_path, until_day=day)
    assert bytes_of(grown.folder) == bytes_of(small.folder)
    assert grown.summary == small.summary


def test_a_second_call_touches_no_file(tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in write(tmp_path).folder.rglob("*")}
    assert {path: path.stat().st_mtime_ns for path in write(tmp_path).folder.rglob("*")} == before


def test_the_shop_shows_each_order_as_it_stood_that_day(small: Written, tmp_path: Path) -> None:
    early = write(tmp_path, until_day=60)
    cutoff = (AS_OF - timedelta(days=60)).isoformat()
    then, now = (
        {row[0]: row for row in sqlite3.connect(written.folder / "shop.db").execute("select * from orders").fetchall()}
        for written in (early, small)
    )
    assert all(row[-1] < cutoff for row in then.values())
    assert set(then) == {key for key, row in now.items() if row[-2] < cutoff}
    changed = [key for key, row in then.items() if row != now[key]]
    assert changed
    assert all(now[key][-1] >= cutoff and now[key][:8] == then[key][:8] for key in changed)


def test_every_kind_of_mess_is_there(small: Written, whole: Written) -> None:
    for written in (small, whole):
        assert set(written.summary.mess) == MESS
        assert min(written.summary.mess.values()) > 0


def test_what_the_summary_counts_is_in_the_files(small: Written) -> None:
    """The records and mess that can be read off the files are counted there."""
    records, mess = small.summary.records, small.summary.mess
    lines = lines_of(small.folder)
    assert len(lines) == records["web.events"]
    parsed: list[Any] = []
    refused = Counter[str]()
    for line in lines:
        try:
            parsed.append(json.loads(line))
        except json.JSONDecodeError:
            refused["truncated" if line.startswith("{") else "not_json"] += 1
    assert refused == {"truncated": mess["lines_truncated"], "not_json": mess["lines_not_json"]}
    assert sum(isinstance(record, list) for record in parsed) == mess["lines_with_array"]
    assert sum(isinstance(record, int) for record in parsed) == mess["lines_with_number"]
    assert sum(isinstance(record, dict) and "batch" in record for record in parsed) == mess["batch_envelopes"]

    messages = messages_of(small.folder)
    assert sum(message.get("timestamp", "").startswith("2099") for message in messages) >= 1
    assert sum("-13-45T" in message.get("timestamp", "") for message in messages) >= 1
    assert sum(message["type"] == "track" and "event" not in message for message in messages) >= 1
    ids = Counter(message["messageId"] for message in messages if "messageId" in message)
    again = mess["repeated_in_same_file"] + mess["repeated_in_later_file"]
    assert sum(times - 1 for times in ids.values()) == again
    without_id = Counter(json.dumps(message) for message in messages if "messageId" not in message)
    assert sum(without_id.values()) == mess["honest_repeats_without_message_id"]
    assert set(without_id.values()) == {2}

    rows = rows_in_crm = 0
    for path in (small.folder / "crm").iterdir():
        with path.open(newline="", encoding="utf-8") as file:
            widths = [len(row) for row in csv.reader(file)][1:]
        rows_in_crm += len(widths)
        rows += sum(width != 10 for width in widths)
    assert (rows_in_crm, rows) == (records["crm.customers"], mess["crm_rows_malformed"])
    mail = [pq.read_table(path).num_rows for path in (small.folder / "email").iterdir()]
    assert sum(mail) == records["email.engagement"]


def test_the_whole_company_has_the_promised_size(whole: Written) -> None:
    records = whole.summary.records
    assert 95_000 < sum(records.values()) < 110_000
    assert 65_000 < records["web.events"] < 75_000
    assert 5_000 < records["shop.orders"] < 7_000
    assert 250 < records["shop.refunds"] < 350
    assert 13_000 < records["email.engagement"] < 17_000
    assert len(list((whole.folder / "crm").iterdir())) == 4


def test_the_audiences_are_of_a_sensible_size(whole: Written) -> None:
    people = len(rows_of(whole.truth / "people.csv"))
    assert people == whole.summary.people == 5000
    shares = {name: size / people for name, size in whole.summary.audiences.items()}
    assert 0.03 < shares["vips"] < 0.08
    assert 0.05 < shares["lapsing_customers"] < 0.12
    assert 0.02 < shares["cart_abandoners"] < 0.06
    assert 0.30 < shares["newsletter_subscribers"] < 0.50


def test_true_value_is_what_the_shop_took_less_what_it_gave_back(whole: Written) -> None:
    database = sqlite3.connect(whole.folder / "shop.db")
    taken = database.execute("select sum(amount * 100) from orders where status <> 'cancelled'").fetchone()[0]
    returned = database.execute("select sum(amount * 100) from refunds").fetchone()[0]
    truth = sum(float(row["lifetime_value_usd"]) * 100 for row in rows_of(whole.truth / "people.csv"))
    assert round(truth) == round(taken - returned)


def test_every_honest_record_is_of_one_person(whole: Written) -> None:
    """Truth names the owner of each identifier in the files, and those of one record share an owner."""
    owners: dict[tuple[str, str], set[str]] = {}
    for row in rows_of(whole.truth / "identifiers.csv"):
        key = (row["identifier_type"], row["identifier_value"])
        owners.setdefault(key, set()).add(row["person_id"])
        assert key[0] == "email" or key[1] not in JUNK
    seen: set[tuple[str, str]] = set()
    for message in messages_of(whole.folder):
        found = identifiers_of(message)
        seen |= found
        assert not found or set.intersection(*(owners[key] for key in found)), message
    database = sqlite3.connect(whole.folder / "shop.db")
    for row in database.execute("select customer_id, email, anonymous_id from orders"):
        keys = zip(("user_id", "email", "anonymous_id"), row, strict=True)
        shown = {(kind, value.strip().lower() if kind == "email" else value) for kind, value in keys if value}
        seen |= shown
        assert set.intersection(*(owners[key] for key in shown))
    on_the_web = {"anonymous_id", "android_id", "ios_id", "android_idfa", "ios_idfa"}
    true = {key for key in owners if key[0] in on_the_web and key[1] != KIOSK}
    assert true == {key for key in seen if key[0] in on_the_web}


def test_shared_identifiers_are_marked(whole: Written) -> None:
    shared = [row for row in rows_of(whole.truth / "identifiers.csv") if row["shared"] == "true"]
    kinds = Counter(row["identifier_type"] for row in shared)
    assert kinds["android_id"] == whole.summary.mess["kiosk_visits"]
    assert kinds["anonymous_id"] == 2 * whole.summary.mess["shared_browsers"] == 24
    assert set(kinds) == {"android_id", "anonymous_id"}


def test_the_chain_becomes_one_person_on_the_last_day_only(small: Written) -> None:
    links = [
        (message["receivedAt"], *sorted(identifiers_of(message)))
        for message in {json.dumps(each): each for each in messages_of(small.folder)}.values()
        if message.get("traits", {}).get("email", "").startswith("rosa.nomad") and message["type"] == "identify"
        if "receivedAt" in message
    ]
    links.sort()
    graph = nx.Graph()
    sizes = []
    for _, one, other in links:
        graph.add_edge(one, other)
        sizes.append(nx.number_connected_components(graph))
    assert graph.number_of_nodes() == 40
    assert (max(sizes), sizes[-2], sizes[-1]) == (20, 2, 1)
    assert links[-1][0] > (AS_OF - timedelta(days=1)).isoformat()


def test_a_small_company_takes_less_than_a_second(tmp_path: Path) -> None:
    started = time.process_time()
    write(tmp_path)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("day", [0, DAYS + 1])
def test_a_day_outside_the_company_is_refused(tmp_path: Path, day: int) -> None:
    with pytest.raises(ValueError, match="days 1 to 120"):
        write(tmp_path, until_day=day)


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="100 or more"):
        write(tmp_path, people=20)
