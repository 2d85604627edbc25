"""Scores over random events on DuckDB and PostgreSQL are those of a slow reference: nine of behaviour, decay, RFM."""

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from tests.attributes.test_attributes import AS_OF, ORDER, Engine, attribute, engines

__all__ = ["engines"]
DAY = timedelta(days=1)


def whole(share: Fraction | float) -> int:
    return math.floor(100 * share + Fraction(1, 2))


def standing(measures: dict[str, Any]) -> dict[str, int]:
    """The share of the others who have less, in percent."""
    others = max(len(measures) - 1, 1)
    return {
        who: whole(Fraction(sum(other < mine for other in measures.values()), others)) for who, mine in measures.items()
    }


def behaviour(events: list[dict[str, Any]]) -> dict[str, tuple[int, ...]]:
    did: dict[str, list[datetime]] = defaultdict(list)
    for each in events:
        is_own = each["source"] == "web" and each["type"] in ("page", "screen", "track")
        if is_own and each["profile_id"] is not None and each["occurred_at"] <= AS_OF:
            did[each["profile_id"]].append(each["occurred_at"])
    measured: dict[str, list[Any]] = {}
    for who, moments in did.items():
        days = {(AS_OF - at) // DAY for at in moments}
        weeks = Counter((AS_OF - at) // (7 * DAY) for at in moments)
        last = [weeks[week] for week in range(min(12, max(weeks) + 1))]
        month, before = (sum(weeks[week] for week in span) for span in (range(4), range(4, 8)))
        measured[who] = [
            len(moments),
            sum(day < 84 for day in days),
            max(moments),
            Fraction(len(moments), len(days)),
            Fraction(month - before, max(month + before, 1)),
            sum(count * Fraction(1, 2 ** min(week // 4, 30)) for week, count in weeks.items()),
            Fraction(sum(count > 0 for count in last), len(last)),
            max(moments) - min(moments),
            Fraction(len(last) * sum(count**2 for count in last), max(sum(last) ** 2, 1)),
        ]
    columns = [standing({who: values[place] for who, values in measured.items()}) for place in range(9)]
    return {who: tuple(column[who] for column in columns) for who in measured}


def test_the_nine_scores_of_behaviour_are_those_of_the_reference(engines: list[Engine]) -> None:
    for engine in engines:
        engine.cursor.execute(attribute(engine.name, "behaviour_scores", sources=["web"]))
        found = {who: tuple(scores) for who, *scores in engine.cursor.fetchall()}
        assert [column[0].removesuffix("_score") for column in engine.cursor.description] == [
            "profile_id", "quantity", "frequency", "recency", "intensity", "momentum", "propensity", "consistency",
            "maturity", "volatility",
        ]  # fmt: skip
        assert found == behaviour(engine.events)
        assert all(len(set(column)) > 1 for column in zip(*found.values(), strict=True)), (
            "a score that tells nobody apart"
        )


@pytest.mark.parametrize("window", [{}, {"last_days": 30}])
def test_decay_fades_with_the_clock(window: dict[str, int], engines: list[Engine]) -> None:
    for engine in engines:
        ages: dict[str, list[float]] = defaultdict(list)
        for each in engine.events:
            if each["profile_id"] is not None and each["occurred_at"] <= AS_OF and each["event_name"] == ORDER:
                ages[each["profile_id"]].append((AS_OF - each["occurred_at"]) / DAY)
        if window:
            ages = {who: [age for age in theirs if age < 30] for who, theirs in ages.items()}
        recency = {who: whole(0.5 ** (min(theirs) / 7)) if theirs else 0 for who, theirs in ages.items()}
        frequency = {who: whole(1 - 0.5 ** sum(0.5 ** (age / 7) for age in theirs)) for who, theirs in ages.items()}
        for kind, due in (("recency_decay_of", recency), ("frequency_decay_of", frequency)):
            assert engine.rows(attribute(engine.name, kind, ORDER, half_life_days=7, **window)) == due
        assert min(recency.values()) == 0
        assert len(set(recency.values())) > 3


def test_rfm_is_one_call_over_any_table_of_purchases(engines: list[Engine]) -> None:
    engine = engines[0]
    engine.cursor.execute(
        "create temp table receipts (card text, bought_at timestamp, usd double precision, state text)"
    )
    rows = [
        ("a", "2026-01-01", 5, "paid"), ("b", "2026-02-01", 10, "paid"), ("c", "2026-03-01", 10, "paid"),
        ("d", "2026-04-01", 20, "paid"), ("d", "2026-03-01", 10, "paid"), ("e", "2026-05-01", None, "paid"),
        # neither what was cancelled, nor the future, nor what nobody bought
        ("a", "2026-06-01", 500, "cancelled"), ("a", "2026-11-01 12:00:01", 500, "paid"), (None, "2026-06-01", 500, "paid"),
    ]  # fmt: skip
    mark = "%s" if engine.name == "postgres" else "?"
    engine.cursor.executemany(f"insert into receipts values ({', '.join([mark] * 4)})", rows)
    sql = attribute(
        engine.name, "rfm_of", "receipts", at="bought_at", amount="usd", where="state <> 'cancelled'", person="card"
    )
    engine.cursor.execute(sql)
    assert sorted(engine.cursor.fetchall()) == [
        ("a", 1, 1, 2, "hibernating"), ("b", 2, 1, 3, "hibernating"), ("c", 3, 1, 3, "about_to_sleep"),
        ("d", 4, 5, 5, "loyal"), ("e", 5, 1, 1, "new"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("behaviour_scores", {"last_days": 30}, "last_days is no argument; there are types, where, sources"),
        ("behaviour_scores", {"as": "x"}, "as is no argument"),
        ("recency_decay_of", {"event": ORDER}, "half_life_days is None; write a whole number from 1"),
        ("frequency_decay_of", {"event": ORDER, "half_life_days": 0.5}, "half_life_days is 0.5"),
    ],
)
def test_a_score_says_what_it_cannot_be_told(kind: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        attribute("duckdb", kind, **options)
