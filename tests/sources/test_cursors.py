"""Reading positions: every version of a row lands once, and no single value ends a table."""

import json
import sqlite3
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.kinds import SOURCES
from cdp_orchestration.sources.cursors import kind_of_all, parsed_time

NOW = datetime(2026, 11, 1)
POISON: dict[str, list[Any]] = {
    "time": ["pending", "", " ", 5, 1.5, None, "2062-10-01 10:00:00", "0000-00-00 00:00:00", "9999-12-31", "infinity",
             "2026-02-30 09:00:00", "2026-01-01 25:00", "01/02/2026", b"\xff", float("inf"), "0001-01-01T00:00:00Z",
             "1970-01-01 00:00:00"],
    "number": ["x", "", "12", None, 2**63 - 1, -(2**63), 2**31 - 1, float("inf"), float("-inf"), b"z", "2026-10-01"],
}  # fmt: skip
SPELLINGS: list[Callable[[datetime], str]] = [
    lambda at: at.strftime("%Y-%m-%d %H:%M:%S"),
    lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.000+00:00"),
    lambda at: (at + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%d %H:%M:%S+05:30"),
    lambda at: (at - timedelta(hours=11)).strftime("%Y-%m-%d %H:%M:%S-1100"),
]


class Table:
    """An SQLite table, and a stream that reads it by its column `at`; what landed leaves its position, as in landing."""

    def __init__(self, folder: Path, **stream: Any) -> None:
        self.database = sqlite3.connect(folder / "t.db", isolation_level=None)
        self.database.execute("create table rows (id integer, v integer, at)")
        kind = SOURCES["sql"]
        config = {"table": "rows", "key": ["id"], "cursor": "at", **stream}
        self.source = kind(
            kind.Config.model_validate({"url": f"sqlite:///{folder}/t.db", "kind": "sql", "streams": {"rows": config}}),
            folder,
        )
        self.now = NOW
        self.source.now = lambda: self.now  # type: ignore[method-assign]
        self.state: dict[str, Any] = {}
        self.notes: list[str] = []

    def has(self, *rows: tuple[int, Any]) -> None:
        for number, at in rows:
            self.database.execute("insert into rows values (?, 0, ?)", (number, at))

    def pull(self) -> list[int]:
        pages = list(self.source.pull("rows", self.state, {}))
        records = [record for page in pages for record in page.records]
        self.notes = []
        if records:
            self.state = json.loads(json.dumps(pages[-1].state, allow_nan=False))
            self.notes = [note for page in pages for note in page.notes]
        return sorted(json.loads(record.payload or "")["id"] for record in records)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("good"), st.integers(0, 5000), st.integers(0, 4)),
        st.tuples(st.just("poison"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("touch"), st.integers(0, 5000), st.integers(0, 30)),
        st.tuples(st.just("change"), st.just(0), st.integers(0, 30)),
        st.tuples(st.just("pull"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@pytest.mark.parametrize("kind", ["time", "number"])
@settings(max_examples=60, deadline=None)
@given(steps=operations, lag=st.sampled_from([0, 3600]))
def test_every_version_of_a_row_lands_once_whatever_stands_beside_it(
    kind: str, steps: list[tuple[str, int, int]], lag: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = Table(Path(folder), lag_seconds=lag)
        clock = 0
        versions: dict[int, Any] = {}  # of each row, as it stands
        landed: set[tuple[int, Any]] = set()

        def good(step: int, spelling: int) -> Any:
            nonlocal clock
            clock += step
            if kind == "number":
                return clock + 1000 if spelling % 2 else clock + 1000.0
            return SPELLINGS[spelling % len(SPELLINGS)](datetime(2026, 10, 1) + timedelta(seconds=clock))

        def insert(at: Any, version: Any) -> None:
            table.has((len(versions) + 1, at))
            versions[len(versions) + 1] = version

        for step in range(3):
            insert(good(step, step), clock)
        for what, amount, other in [*steps, ("pull", 0, 0)]:
            one = other % len(versions) + 1
            if what == "good":
                insert(good(amount, other), clock)
            elif what == "poison":
                insert(POISON[kind][amount % len(POISON[kind])], "poisoned")
            elif what == "touch":  # a poisoned row is mended by it
                table.database.execute("update rows set at = ? where id = ?", (good(amount + 1, amount), one))
                versions[one] = clock
            elif what == "change" and str(versions[one]).startswith("poisoned"):
                table.database.execute("update rows set v = v + 1 where id = ?", (one,))
                versions[one] += "!"
            elif what == "pull":
                assert table.pull() == sorted(one for one, version in versions.items() if (one, version) not in landed)
                assert table.pull() == []
                landed |= set(versions.items())
        table.database.close()


def test_what_is_poisoned_lands_once_again_when_it_changes_and_is_told_once(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.has((1, "2026-10-01 09:00:00"), (2, "2062-10-01 10:00:00"), (3, "pending"), (4, None))
    assert table.pull() == [1, 2, 3, 4]
    (note,) = table.notes
    assert "2 rows have a cursor" in note
    assert "at = '2062-10-01 10:00:00' (it lies more than 24 h ahead of the clock)" in note
    assert "at = 'pending' (it is no time)" in note
    assert "`cursor_type`" in note
    assert table.pull() == []
    table.has((5, "2026-10-02T09:00:00Z"))
    assert (table.pull(), table.notes) == ([5], [])
    table.database.execute("update rows set v = 7 where id in (2, 4)")
    assert table.pull() == [2, 4]
    assert table.pull() == []


def test_what_the_clock_overtakes_has_landed(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.has((1, "2026-10-31 09:00:00"), (2, "2026-11-03 09:00:00"))
    assert table.pull() == [1, 2]
    table.now += timedelta(days=3)
    table.has((3, "2026-11-03 10:00:00"))
    assert table.pull() == [3]
    assert table.pull() == []


def test_two_spellings_of_times_are_in_one_order(tmp_path: Path) -> None:
    table = Table(tmp_path, lag_seconds=3600)
    table.has((1, "2026-10-01T09:00:00Z"))
    assert table.pull() == [1]
    table.has((2, "2026-10-01 12:00:00"), (3, "2026-10-01 08:30:00"), (4, "2026-10-01 07:00:00"))
    assert table.pull() == [2, 3]  # 4 is older than the lag looks back
    table.has((5, "2026-10-01T14:30:00+02:00"), (6, "2026-10-01T14:30:00+04:00"))
    assert table.pull() == [5]


def test_a_lone_placeholder_does_not_make_a_column_of_times_one_of_texts(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.has((1, "pending"))
    assert table.pull() == [1]
    table.has((2, "2026-10-01 09:00:00"), (3, "pending"))
    assert table.pull() == [2, 3]
    assert "the reading position was at = pending" in table.notes[0]
    assert table.pull() == []


def test_texts_that_grow_are_a_cursor(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.has((1, "01H8A"), (2, "01H8B"), (3, 7), (4, ""))
    assert table.pull() == [1, 2, 3, 4]
    table.has((5, "01H8B"), (6, "01H8C"), (7, 8), (8, " "))
    assert table.pull() == [5, 6, 7, 8]
    assert table.pull() == []


def test_a_declared_kind_is_what_counts(tmp_path: Path) -> None:
    table = Table(tmp_path, cursor_type="number")
    table.has((1, "9"), (2, "10"), (3, "2026-10-01"))
    assert table.pull() == [1, 2, 3]
    assert "at = '2026-10-01' (it is no number)" in table.notes[0]
    table.has((4, "11"), (5, "x"))
    assert table.pull() == [4, 5]
    assert table.pull() == []


def test_a_type_that_no_cursor_can_be_is_named(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.has((1, b"\x00\x01"))
    with pytest.raises(NeedsAPerson, match=r"stream 'rows': column 'at' is of type bytes, which cannot be a `cursor`"):
        table.pull()


# Positions as commit 93c4165 wrote them: without a type, and any value at all as the last one.
def mark(number: int, at: Any) -> str:
    import hashlib

    return hashlib.md5(json.dumps({"k": [number], "c": at}, separators=(",", ":")).encode()).hexdigest()


def test_a_healthy_position_of_an_older_version_is_read_on(tmp_path: Path) -> None:
    table = Table(tmp_path, lag_seconds=3600)
    table.has((1, "2026-10-01T09:00:00Z"), (2, "2026-09-01T00:00:00Z"), (3, None), (4, "2026-10-01T08:30:00Z"))
    table.state = {
        "last": "2026-10-01T09:00:00Z",
        "seen": {mark(1, "2026-10-01T09:00:00Z"): "2026-10-01T09:00:00Z", mark(3, None): None},
    }
    assert table.pull() == [4]  # came late, within the lag; nothing else lands again
    table.has((5, "2026-10-02T09:00:00Z"))
    assert table.pull() == [5]
    assert table.pull() == []


@pytest.mark.parametrize(
    ("rows", "last", "seen", "lands"),
    [
        ([(1, "2026-10-01"), (2, "2062-10-01")], "2062-10-01", {2: "2062-10-01"}, [1, 3]),
        ([(1, "2026-10-01"), (2, "pending")], "pending", {2: "pending", 1: "2026-10-01"}, [3]),
        ([(1, "2026-10-01"), (2, "infinity")], {"datetime": "9999-12-31T23:59:59.999999"}, {}, [1, 2, 3]),
        ([(1, 1), (2, 2**63 - 1)], 2**63 - 1, {2: 2**63 - 1}, [1, 3]),
        ([(1, 1), (2, 2**63 - 1)], {"text": "0199a000-0000-7000-8000-000000000001"}, {}, [1, 2, 3]),
    ],
)
def test_a_poisoned_position_of_an_older_version_is_healed(
    tmp_path: Path, rows: list[tuple[int, Any]], last: Any, seen: dict[int, Any], lands: list[int]
) -> None:
    table = Table(tmp_path)
    table.has(*rows, (3, 5 if isinstance(rows[0][1], int) else "2026-10-05 09:00:00"))
    table.state = {"last": last, "seen": {mark(number, at): at for number, at in seen.items()}}
    assert table.pull() == lands
    assert any("the reading position was" in note for note in table.notes)
    table.has((4, 6 if isinstance(rows[0][1], int) else "2026-10-06T09:00:00Z"))
    assert (table.pull(), table.notes) == ([4], [])


def test_numbers_that_are_written_as_texts_count_as_numbers(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.has((1, "8"), (2, "9"), (3, ""))
    assert table.pull() == [1, 2, 3]
    table.has((4, "10"), (5, "x"))  # as a text, 10 comes before 9
    assert table.pull() == [4, 5]
    assert table.pull() == []


def test_numbers_that_are_declared_to_be_times_know_the_clock(tmp_path: Path) -> None:
    table = Table(tmp_path, cursor_type="time", lag_seconds=60)
    table.has((1, 1790848800), (2, 2926843200), (3, 2**63 - 1), (4, 0))  # 2 is 2062
    assert table.pull() == [1, 2, 3, 4]
    assert "at = '2926843200' (it lies more than 24 h ahead of the clock)" in table.notes[0]
    table.has((5, 1790848750), (6, 1790848600), (7, 1790848900.5), (8, 0))
    assert table.pull() == [5, 7, 8]
    table.has((9, "2026-10-01 10:10:00"), (10, "2026-09-01"))
    assert table.pull() == [9]
    assert table.pull() == []


def test_dates_that_do_not_sort_are_refused_as_a_cursor(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.has((1, "31.12.2026"), (2, "01.01.2027"), (3, ""))
    with pytest.raises(NeedsAPerson, match=r"texts such as '31.12.2026', which do not sort as the times do"):
        table.pull()


def test_kinds_are_told_from_values() -> None:
    assert kind_of_all(["2026-10-01", "pending", "pending", ""]) == ("time", False)
    assert kind_of_all([1790848800, "2026-10-01 10:00:00"]) == ("time", False)
    assert kind_of_all([1, 2, "x"]) == ("number", False)
    assert kind_of_all(["1", "-2.5", "x"]) == ("number", True)
    assert kind_of_all(["a", "b", 1]) == kind_of_all(["007", "008"]) == ("text", False)
    assert kind_of_all(["", None, b"x", True]) == (None, False)


def test_times_are_read_to_their_end_or_not_at_all() -> None:
    noon = datetime(2026, 10, 1, 12)
    for text in ("2026-10-01T12:00:00Z", "2026-10-01 14:00:00+02", "2026-10-01 12:00", "2026-10-01T17:30:00.000+0530",
                 " 2026-10-01 12:00:00 UTC", "2026-10-01T12:00:00,000000000Z"):  # fmt: skip
        assert parsed_time(text) == noon, text
    for text in (
        "2026-10-01 12:00:00 pending",
        "2026-10-01Z",
        "20261001",
        "0000-00-00",
        "2026-13-01",
        "12:00",
        "10000-01-01",
    ):
        assert parsed_time(text) is None, text
