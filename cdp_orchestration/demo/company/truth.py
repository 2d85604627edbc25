"""What is true about the demo company, and what mess was made of it: noted while its records are made.

The pipeline never reads any of it; tests and measurements compare the platform's answers with it.
"""

import csv
import io
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from cdp_orchestration.demo.company.calendar import MIDNIGHT, day_of, iso_seconds
from cdp_orchestration.demo.company.files import write_if_changed
from cdp_orchestration.demo.company.people import Person
from cdp_orchestration.demo.company.shop import Order

_LOWER = {"email", "android_id", "ios_id", "android_idfa", "ios_idfa"}


class Notes:
    """What the records show, each with the day on which it became visible, so that any prefix can be judged."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], dict[int, int]] = {}
        self._mess: Counter[tuple[int, str]] = Counter()
        self._carts: list[tuple[int, int, datetime]] = []

    def saw(self, identifier_type: str, value: str, person: Person, day: int) -> None:
        """A record of `day` carries this identifier, and it was this person who used it."""
        value = value.strip()
        if identifier_type in _LOWER:
            value = value.lower()
        owners = self._owners.setdefault((identifier_type, value), {})
        owners[person.number] = min(day, owners.get(person.number, day))

    def saw_orders(self, orders: list[Order]) -> None:
        """The shop's rows show who ordered; the same identifiers stay in every later version."""
        for order in orders:
            person, day = order.person, day_of(order.ordered_at)
            if order.customer_id:
                self.saw("user_id", order.customer_id, person, day)
            if order.channel:
                self.saw("anonymous_id", order.channel.anonymous_id, person, day)
            if order.email:
                self.saw("email", order.email, person, day)
                self.made("emails_in_other_spelling", day, order.email != order.email.strip().lower())
            if order.phone and person.phone:
                self.saw("phone", person.phone, person, day)
                self.made("phones_in_other_spelling", day, order.phone != person.phone)

    def made(self, mess: str, day: int, times: int = 1) -> None:
        """A record of `day` shows this kind of mess."""
        self._mess[day, mess] += times

    def filled_cart(self, person: Person, at: datetime, day: int) -> None:
        """The person put a trip into the cart; the record arrived on `day`."""
        self._carts.append((day, person.number, at))

    def mess_until(self, until_day: int) -> dict[str, int]:
        """How often each kind of mess occurs in the records of the first `until_day` days, by name."""
        totals: Counter[str] = Counter()
        for (day, mess), times in self._mess.items():
            if day < until_day:
                totals[mess] += times
        return dict(sorted(totals.items()))

    def identifiers_until(self, until_day: int) -> list[tuple[str, str, int, bool]]:
        """(type, normalised value, person's number, shared); a shared identifier has a row per person."""
        rows = []
        for (identifier_type, value), owners in sorted(self._owners.items()):
            numbers = sorted(number for number, day in owners.items() if day < until_day)
            rows += [(identifier_type, value, number, len(numbers) > 1) for number in numbers]
        return rows

    def carts_until(self, until_day: int) -> dict[int, datetime]:
        """When each person (by number) last put a trip into the cart."""
        latest: dict[int, datetime] = {}
        for day, number, at in self._carts:
            if day < until_day and (number not in latest or at > latest[number]):
                latest[number] = at
        return latest


def write_truth(
    folder: Path, notes: Notes, people: list[Person], orders: list[Order], until_day: int
) -> dict[str, int]:
    """Write identifiers.csv and people.csv as of the end of `until_day`; returns each audience's size."""
    cutoff = MIDNIGHT + timedelta(days=until_day)
    identifiers = notes.identifiers_until(until_day)
    ids = {person.number: person.person_id for person in people}
    _write_csv(
        folder / "identifiers.csv",
        ["identifier_type", "identifier_value", "person_id", "shared"],
        [[kind, value, ids[number], str(shared).lower()] for kind, value, number, shared in identifiers],
    )
    with_email = {number for kind, _, number, _ in identifiers if kind == "email"}
    seen = {number for _, _, number, _ in identifiers}
    rows = people_rows(people, orders, notes.carts_until(until_day), with_email, seen, cutoff)
    _write_csv(folder / "people.csv", list(rows[0]), [list(row.values()) for row in rows])
    audiences = ("vips", "lapsing_customers", "cart_abandoners", "newsletter_subscribers")
    return {name: sum(row[name] == "true" for row in rows) for name in audiences}


def people_rows(
    people: list[Person],
    orders: list[Order],
    carts: dict[int, datetime],
    with_email: set[int],
    seen: set[int],
    cutoff: datetime,
) -> list[dict[str, str]]:
    """One row per person that any record shows: what they brought, and their audiences at `cutoff`."""
    cents: Counter[int] = Counter()
    order_count: Counter[int] = Counter()
    last_order: dict[int, datetime] = {}
    for order in orders:
        if order.ordered_at >= cutoff:
            continue
        number = order.person.number
        if order.status_at(cutoff) != "cancelled":
            cents[number] += order.cents
            order_count[number] += 1
            last_order[number] = max(order.ordered_at, last_order.get(number, order.ordered_at))
        if order.refunded_at and order.refunded_at < cutoff:
            cents[number] -= order.refund_cents
    rows = []
    for person in people:
        if person.number not in seen:
            continue
        number = person.number
        ordered_at, cart_at = last_order.get(number), carts.get(number)
        consent = person.consent_at(cutoff)
        is_quiet = ordered_at is not None and ordered_at <= cutoff - timedelta(days=60)
        has_cart = cart_at is not None and cart_at > cutoff - timedelta(days=7)
        has_bought = cart_at is not None and ordered_at is not None and ordered_at >= cart_at
        rows.append(
            {
                "person_id": person.person_id,
                "kind": person.kind,
                "lifetime_value_usd": f"{cents[number] / 100:.2f}",
                "order_count": str(order_count[number]),
                "last_order_at": iso_seconds(ordered_at) if ordered_at else "",
                "cart_at": iso_seconds(cart_at) if cart_at else "",
                "has_email": _flag(number in with_email),
                "email_marketing": "" if consent is None else "granted" if consent else "denied",
                "vips": _flag(cents[number] >= 200_000),
                "lapsing_customers": _flag(cents[number] >= 50_000 and is_quiet),
                "cart_abandoners": _flag(has_cart and not has_bought),
                "newsletter_subscribers": _flag(bool(consent) and number in with_email),
            }
        )
    return rows


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_if_changed(path, text.getvalue().encode())
