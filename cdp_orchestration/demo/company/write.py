"""Saltmarsh Travel, the demo company: 5,000 people, 120 days, 100,000 records, always the same bytes.

Its files are what a small travel company would have: web and app events (demo.web, spoiled by demo.mess), a
CRM's exports (demo.crm), a shop's database (demo.shop) and a newsletter tool's engagement (demo.email).
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cdp_orchestration.demo.company.calendar import AS_OF, DAYS, FIRST_DAY, MIDNIGHT, SEED
from cdp_orchestration.demo.company.crm import crm_files
from cdp_orchestration.demo.company.email import email_files
from cdp_orchestration.demo.company.files import write_if_changed
from cdp_orchestration.demo.company.mess import spoil, web_files
from cdp_orchestration.demo.company.people import make_people
from cdp_orchestration.demo.company.shop import make_orders, shop_database, spent_by
from cdp_orchestration.demo.company.truth import Notes, write_truth
from cdp_orchestration.demo.company.web import make_messages

__all__ = ["AS_OF", "DAYS", "FIRST_DAY", "SEED", "CompanySummary", "write_company"]

LEAST_PEOPLE = 100
"""With fewer, some kinds of mess would find nobody to happen to."""


@dataclass(frozen=True)
class CompanySummary:
    """What was written. `records` counts what a connector should land, by `<source>.<stream>` (a batch
    envelope and a malformed line are one record each); `mess` counts each kind of trouble in it; `audiences`
    holds the true sizes at `as_of`, the end of the last day written."""

    people: int
    days: int
    as_of: datetime
    files: int
    records: dict[str, int]
    mess: dict[str, int]
    audiences: dict[str, int]


def write_company(folder: Path, truth: Path, people: int = 5000, until_day: int | None = None) -> CompanySummary:
    """Write the company's files to `folder`, and what is true about it to `truth`, which no pipeline reads.

    `until_day` (1 to 120) stops at the end of that day. A later call with a later day adds files and never
    changes the earlier ones; only shop.db, being a database, is brought up to date. A file that already holds
    the same bytes is left untouched, and so are files of days beyond `until_day`.

    Raises ValueError for a day outside the 120, or fewer than 100 people.
    """
    days = DAYS if until_day is None else until_day
    if not 1 <= days <= DAYS:
        raise ValueError(f"until_day is {until_day}; the demo company has days 1 to {DAYS}")
    if people < LEAST_PEOPLE:
        raise ValueError(f"people is {people}; the demo company needs {LEAST_PEOPLE} or more")
    cutoff = MIDNIGHT + timedelta(days=days)

    # The whole company is always made and then cut: that keeps earlier files the same whatever the day.
    notes = Notes()
    everyone = make_people(people)
    orders = make_orders(everyone)
    notes.saw_orders(orders)
    messages = spoil(make_messages(everyone, orders, notes), people, notes)
    dated = {
        "web.events": web_files(messages, notes),
        "crm.customers": {day: [file] for day, file in crm_files(everyone, spent_by(orders), notes).items()},
        "email.engagement": {day: [file] for day, file in email_files(everyone, notes).items()},
    }

    records: Counter[str] = Counter()
    files = 1
    for stream_name, files_by_day in dated.items():
        for day, of_the_day in files_by_day.items():
            for name, content, count in of_the_day if day <= days else []:
                write_if_changed(folder / stream_name.split(".")[0] / name, content)
                records[stream_name] += count
                files += 1
    database, records["shop.orders"], records["shop.refunds"] = shop_database(orders, cutoff)
    write_if_changed(folder / "shop.db", database)
    audiences = write_truth(truth, notes, everyone, orders, days)
    return CompanySummary(people, days, cutoff, files, dict(sorted(records.items())), notes.mess_until(days), audiences)
