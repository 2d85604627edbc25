"""The demo company's CRM: every few weeks the whole customer table as CSV, untouched rows as before."""

import csv
import io
from datetime import datetime, timedelta

from cdp_orchestration.demo.company.calendar import MIDNIGHT, date_of, stream
from cdp_orchestration.demo.company.people import Person, spell_phone
from cdp_orchestration.demo.company.truth import Notes

SNAPSHOT_DAYS = (1, 41, 81, 120)
"""The days (1-based) at whose end the CRM exports."""

COLUMNS = (
    "customer_id", "email", "phone", "first_name", "last_name", "country", "loyalty_tier", "birth_date",
    "email_opt_in", "updated_at",
)  # fmt: skip
_MALFORMED = 0.004
# The CRM hears of a decision that was made on the web or in an e-mail after this time.
_LAG = timedelta(hours=1)


def crm_files(
    people: list[Person], spent: dict[int, list[tuple[datetime, int]]], notes: Notes
) -> dict[int, tuple[str, bytes, int]]:
    """By 1-based day: the snapshot's file name, its bytes, and its number of rows (the header is none)."""
    rng = stream("crm")
    customers = [person for person in people if person.kind == "customer"]
    files = {}
    before: dict[str, list[str]] = {}
    for number in SNAPSHOT_DAYS:
        day = number - 1
        moment = MIDNIGHT + timedelta(days=number)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        rows = 0
        for person in customers:
            if person.joined_at >= moment:
                continue
            row = _row(person, moment, spent.get(person.number, []))
            if before.get(row[0]) == row:
                notes.made("crm_rows_unchanged", day)
            elif row[0] in before:
                notes.made("crm_rows_changed", day)
            before[row[0]] = row
            writer.writerow(row)
            rows += 1
            _note(notes, person, row, day)
            if rng.random() < _MALFORMED or rows == 1:  # an export that stumbled and tried again
                writer.writerow(row[:7] if rng.random() < 0.5 else [*row, "", "?"])
                rows += 1
                notes.made("crm_rows_malformed", day)
        files[number] = (f"customers-{date_of(day).isoformat()}.csv", text.getvalue().encode(), rows)
    return files


def _row(person: Person, moment: datetime, spent: list[tuple[datetime, int]]) -> list[str]:
    """The customer's row as the CRM held it at that moment."""
    changed = [person.joined_at]
    if person.new_email_at and person.new_email_at < moment:
        changed.append(person.new_email_at)
    opted_in = False
    for consent in person.consents:
        known_at = consent.at if consent.through == "account" else consent.at + _LAG
        if known_at < moment:
            opted_in = consent.is_granted
            changed.append(known_at)
    tier = "bronze"
    for at, cents in spent:
        grade = "gold" if cents >= 200_000 else "silver" if cents >= 50_000 else "bronze"
        if at < moment and grade != tier:
            tier = grade
            changed.append(at)
    return [
        person.user_id or "",
        _spell_email(person.email_at(moment) or "", person.number),
        spell_phone(person.phone, person.number) if person.phone else "",
        person.first_name,
        person.last_name,
        person.country,
        tier,
        person.birth_date,
        "yes" if opted_in else "no",
        max(changed).isoformat(sep=" ", timespec="seconds"),
    ]


def _spell_email(email: str, number: int) -> str:
    """As the clerk typed it, once and for all: some in capitals, some with blanks around."""
    if number % 19 == 0:
        return email.title()
    if number % 37 == 0:
        return f"  {email} "
    return email


def _note(notes: Notes, person: Person, row: list[str], day: int) -> None:
    notes.saw("user_id", row[0], person, day)
    notes.saw("email", row[1], person, day)
    if row[1] != row[1].strip().lower():
        notes.made("emails_in_other_spelling", day)
    if person.phone:
        notes.saw("phone", person.phone, person, day)
        if row[2] != person.phone:
            notes.made("phones_in_other_spelling", day)
