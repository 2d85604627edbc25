"""The demo company's calendar: its 120 days, how busy each one is, and how moments are drawn and written."""

import math
import random
from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate

SEED = 20260704
DAYS = 120
FIRST_DAY = date(2026, 7, 4)
MIDNIGHT = datetime.combine(FIRST_DAY, time())
"""The first moment of day 1. All datetimes of the demo are UTC without zone."""

AS_OF = MIDNIGHT + timedelta(days=DAYS)

# Trips are looked for at weekends (Monday is first), most of all in summer; in October for autumn breaks.
_WEEKDAYS = (1.0, 0.98, 0.95, 1.0, 1.08, 1.25, 1.35)
# The evening is the busiest. Visits start by 22:59 and last less than an hour: none crosses midnight.
_HOURS = (6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)
_HOUR_WEIGHTS = (1, 2, 3, 4, 4, 5, 6, 5, 4, 4, 4, 5, 7, 9, 10, 8, 4)


def _busyness(day: int) -> float:
    summer = 0.35 * math.exp(-(((day - 20) / 25) ** 2))
    autumn = 0.15 * math.exp(-(((day - 95) / 20) ** 2))
    return _WEEKDAYS[(FIRST_DAY + timedelta(days=day)).weekday()] * (1 + summer + autumn)


_DAY_SUMS = [0.0, *accumulate(_busyness(day) for day in range(DAYS))]
_HOUR_SUMS = list(accumulate(_HOUR_WEIGHTS))


def stream(noun: str) -> random.Random:
    """The random numbers of one noun; a change to one noun leaves the numbers of the others as they were."""
    return random.Random(f"{SEED}:{noun}")


def draw_moment(rng: random.Random, first: int, last: int) -> datetime:
    """A moment on the days `first` to `last` (0-based, both included), likelier when people are busy."""
    low, high = _DAY_SUMS[first], _DAY_SUMS[last + 1]
    day = bisect_left(_DAY_SUMS, low + (high - low) * rng.random(), first + 1, last + 1) - 1
    hour = rng.choices(_HOURS, cum_weights=_HOUR_SUMS)[0]
    return MIDNIGHT + timedelta(days=day, hours=hour, milliseconds=int(rng.random() * 3_600_000))


def day_of(moment: datetime) -> int:
    """The 0-based day of a moment; negative before the first."""
    return (moment - MIDNIGHT).days


def date_of(day: int) -> date:
    """The date of a 0-based day."""
    return FIRST_DAY + timedelta(days=day)


def iso(moment: datetime) -> str:
    """As JavaScript writes it: 2026-07-04T09:30:00.000Z."""
    return moment.isoformat(timespec="milliseconds") + "Z"


def iso_seconds(moment: datetime) -> str:
    """As the shop's database writes it: 2026-07-04T09:30:00Z."""
    return moment.isoformat(timespec="seconds") + "Z"


def microseconds(moment: datetime) -> int:
    """Since 1970, as Parquet's timestamp[us] counts."""
    return round(moment.replace(tzinfo=UTC).timestamp() * 1_000_000)


def count_for(people: int, per_5000: int, at_least: int = 2) -> int:
    """How often something happens in a company of `people`, given how often in one of 5,000."""
    return max(at_least, round(people * per_5000 / 5000))
