"""The demo company's newsletter tool: what people did with each campaign, one Parquet file a week."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration.demo.company.calendar import DAYS, MIDNIGHT, date_of, day_of, microseconds, stream
from cdp_orchestration.demo.company.people import CAMPAIGNS, Person, spell_email
from cdp_orchestration.demo.company.truth import Notes

SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("email", pa.string()),
        ("event", pa.string()),
        ("campaign", pa.string()),
        ("occurred_at", pa.timestamp("us")),
    ]
)


@dataclass(slots=True)
class _Engagement:
    event_id: str
    email: str
    event: str
    campaign: str
    at: datetime


def file_day(day: int) -> int:
    """The 0-based day that closes the week of `day`. The first week is one day long, the last is whole."""
    return day + (DAYS - 1 - day) % 7


def email_files(people: list[Person], notes: Notes) -> dict[int, tuple[str, bytes, int]]:
    """By 1-based day: the week's file name, its bytes and its rows. A week without mail has an empty file."""
    rng = stream("email")
    weeks: dict[int, list[_Engagement]] = {file_day(day): [] for day in range(DAYS)}
    for campaign, day in CAMPAIGNS:
        sent_at = MIDNIGHT + timedelta(days=day, hours=9)
        for person in people:
            email = person.email_at(sent_at)
            if email and person.consent_at(sent_at):
                for engagement in _engage(rng, person, email, campaign, sent_at):
                    _file(rng, weeks, engagement, person, notes)
    files = {}
    for week, rows in sorted(weeks.items()):
        rows.sort(key=lambda row: (row.at, row.event_id))
        files[week + 1] = (f"engagement-{date_of(week).isoformat()}.parquet", _parquet(rows), len(rows))
    return files


def _engage(rng: random.Random, person: Person, email: str, campaign: str, sent_at: datetime) -> list[_Engagement]:
    leaving = [consent for consent in person.consents if consent.campaign == campaign]
    if not leaving and rng.random() < 0.35:  # each campaign goes to a part of the list
        return []
    key = f"{campaign}-{person.number}"
    delivered_at = sent_at + timedelta(seconds=rng.randint(1, 500))
    spelled = spell_email(rng, email)
    rows = [_Engagement(f"{key}-delivered", spelled, "delivered", campaign, delivered_at)]
    opened_at = delivered_at + timedelta(seconds=int(rng.expovariate(1 / 30_000)) + 5)
    if leaving:
        opened_at = delivered_at + timedelta(seconds=60)
    if leaving or rng.random() < 0.34:
        rows.append(_Engagement(f"{key}-opened", spelled, "opened", campaign, opened_at))
        if rng.random() < 0.2:
            at = opened_at + timedelta(seconds=rng.randint(3, 90))
            rows.append(_Engagement(f"{key}-clicked", spelled, "clicked", campaign, at))
    rows += [_Engagement(f"{key}-unsubscribed", spelled, "unsubscribed", campaign, consent.at) for consent in leaving]
    return rows


def _file(
    rng: random.Random, weeks: dict[int, list[_Engagement]], row: _Engagement, person: Person, notes: Notes
) -> None:
    """Put the row into its week; some arrive a week late, some a second time."""
    week = file_day(day_of(row.at))
    if week not in weeks:
        return
    if week + 7 in weeks:
        if row.event == "opened" and rng.random() < 0.03:
            week += 7
            notes.made("email_late", week)
        elif rng.random() < 0.004:
            weeks[week + 7].append(row)
            notes.made("email_repeated_in_later_file", week + 7)
    weeks[week].append(row)
    notes.saw("email", row.email, person, week)
    if row.event == "unsubscribed":
        notes.made("consents_withdrawn", week)
    if row.email != row.email.strip().lower():
        notes.made("emails_in_other_spelling", week)


def _parquet(rows: list[_Engagement]) -> bytes:
    table = pa.table(
        {
            "event_id": [row.event_id for row in rows],
            "email": [row.email for row in rows],
            "event": [row.event for row in rows],
            "campaign": [row.campaign for row in rows],
            "occurred_at": pa.array([microseconds(row.at) for row in rows], pa.timestamp("us")),
        },
        schema=SCHEMA,
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content
