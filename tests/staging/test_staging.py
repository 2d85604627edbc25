"""What staging takes in, batch by batch: what was known before counts, what is new alone is read, and a rebuild says the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.identity.test_identity import PROJECT, Landing, Page, Record, prepare
from tests.support.harness import Platform, dbt

AT = {"timestamp": "2026-05-01T00:00:00Z"}
KEYLESS = {"type": "track", "event": "Door Opened", "anonymousId": "a"}
MESSAGES = "select message_id, arrival, identifiers, occurred_at, received_at, properties from staging.messages order by arrival"
REFUSED = "select record_no, reason, field, detail, batch_seq from staging.refused order by all"


def alias(message: str, previous: str) -> dict[str, Any]:
    return {"type": "alias", "messageId": message, "userId": "new", "previousId": previous, **AT}


def known(message: str, user: str) -> dict[str, Any]:
    return {"type": "identify", "messageId": message, "userId": user, **AT}


FIRST = [
    known("k1", "Known"), known("k1", "Known"), alias("early", "later"), alias("twice", "second"), known("k2", "second"),
    alias("twice", "second"), KEYLESS, KEYLESS, {**KEYLESS, "messageId": "  "}, {**KEYLESS, "messageId": ["x"]},
    {**KEYLESS, "messageId": ["x"]}, {**KEYLESS, "messageId": 7.0, **AT}, {"batch": [KEYLESS, KEYLESS, {"messageId": "n", "type": "x"}]},
]  # fmt: skip
SECOND = [
    alias("late", "\u200bKnown "),
    known("k1", "Known"),
    known("k3", "later"),
    KEYLESS,
    {**KEYLESS, **AT},
    {**KEYLESS, **AT},
]


def land(home: Path, source: str, stream: str, records: list[dict[str, Any]], file: str) -> None:
    Landing(home / "landing").land(
        source, stream, [Page([Record(json.dumps(each), file=file) for each in records], {})]
    )


def build(home: Path, *options: str) -> None:
    done = dbt(PROJECT, home, "run", "--select", "1_staging", *options)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Three builds: the second one finds a batch of another stream, too, the third one nothing."""
    root = tmp_path_factory.mktemp("staging")
    prepare(root)
    land(root, "inbox", "messages", FIRST, "one.jsonl")
    build(root)
    land(root, "inbox", "messages", SECOND, "one.jsonl")
    land(root, "crm", "customers", [{"customer_id": "C1", "email": "c@x.example"}], "crm.csv")
    build(root)
    return Platform(root)


def test_what_is_known_by_then_decides(home: Platform) -> None:
    said = {message: json.loads(identifiers) for message, _, identifiers, *_ in home.rows(MESSAGES)}
    last = {message: entries[-1]["type"] for message, entries in said.items()}
    assert last["early"] == "anonymous_id"  # `later` came in the second batch
    assert last["twice"] == "anonymous_id"  # the first of the two counts, and `second` came between them
    assert last["late"] == "user_id"  # spelled otherwise, and known since the first batch
    fates = dict(home.rows("select fate, count(*) from staging.intake group by fate"))
    # Duplicates: k1 and twice in one batch, k1 again in the next, the keyless ones without a time in a file of that name.
    assert fates == {"accepted": 16, "duplicate": 4}, fates


def test_honest_repeats_without_an_id_stay(home: Platform) -> None:
    ids = [
        row[0] for row in home.rows("select message_id from staging.messages where batch_seq = 1 and type = 'track'")
    ]
    assert len(set(ids)) == len(ids) == 8, ids
    assert "7" in ids


def test_nothing_new_reads_nothing_and_changes_nothing(home: Platform) -> None:
    before = home.rows(MESSAGES)
    build(home.root)
    assert home.rows(MESSAGES) == before
    assert home.rows("select count(*) from staging.arrivals") == [(0,)]
    compiled = (home.root / "dbt/compiled/cdp/dbt_project/models/1_staging/arrivals.sql").read_text()
    assert "stg_" not in compiled


def test_a_rebuild_says_the_same(home: Platform) -> None:
    before = [home.rows(sql) for sql in (MESSAGES, REFUSED)]
    build(home.root, "--full-refresh")
    assert [home.rows(sql) for sql in (MESSAGES, REFUSED)] == before
