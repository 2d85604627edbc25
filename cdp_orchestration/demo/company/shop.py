"""The demo company's shop: orders and refunds in a SQLite database, each row in its latest version."""

import random
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cdp_orchestration.demo.company.calendar import AS_OF, DAYS, draw_moment, iso_seconds, stream
from cdp_orchestration.demo.company.people import Channel, Person, spell_email, spell_phone

DESTINATIONS = {
    "Lisbon": 190, "Porto": 170, "Madeira": 340, "Azores": 380, "Sevilla": 180, "Málaga": 210,
    "Barcelona": 220, "Marrakesh": 260, "Rome": 230, "Naples": 210, "Palermo": 240, "Athens": 280,
    "Crete": 330, "Dubrovnik": 270, "Split": 250, "Vienna": 220, "Prague": 180, "Copenhagen": 260,
    "Reykjavík": 460, "Edinburgh": 230,
    "São Paulo": 780, "Montréal": 720, "Tokyo": 990, "Cape Town": 890,
}  # fmt: skip
"""Where one can go, and what it usually costs in USD."""

_SCHEMA = """
create table orders (
    order_id text primary key, customer_id text, email text, phone text, anonymous_id text, destination text,
    amount text not null, currency text not null, status text not null, ordered_at text not null,
    updated_at text not null
);
create table refunds (
    refund_id text primary key, order_id text not null, customer_id text, email text, amount text not null,
    refunded_at text not null, updated_at text not null
);
"""


@dataclass(slots=True)
class Order:
    """One order. `channel` is where it was made, None by telephone; money is in cents of USD."""

    number: int
    person: Person
    channel: Channel | None
    customer_id: str | None
    email: str | None
    phone: str | None
    destination: str
    cents: int
    ordered_at: datetime
    changes: list[tuple[datetime, str]] = field(default_factory=list)
    refunded_at: datetime | None = None
    refund_cents: int = 0

    @property
    def order_id(self) -> str:
        """The shop's key."""
        return f"O-{700_000 + self.number}"

    def version_at(self, moment: datetime) -> tuple[datetime, str]:
        """(updated_at, status) of the latest version before that moment."""
        version = (self.ordered_at, "paid")
        for change in self.changes:
            if change[0] < moment:
                version = change
        return version

    def status_at(self, moment: datetime) -> str:
        """paid, travelled, cancelled or refunded."""
        return self.version_at(moment)[1]


def favourites(person: Person) -> list[str]:
    """The three places that this person mostly looks at and books."""
    names = list(DESTINATIONS)
    return [names[(person.number * step + step) % len(names)] for step in (7, 11, 13)]


def pick_destination(rng: random.Random, person: Person) -> str:
    """Mostly a favourite, sometimes anywhere."""
    return rng.choices(favourites(person), (5, 3, 1))[0] if rng.random() < 0.85 else rng.choice(list(DESTINATIONS))


def make_orders(people: list[Person]) -> list[Order]:
    """All orders of the 120 days, oldest first, numbered as they came in."""
    rng = stream("shop")
    orders = []
    for person in people:
        for _ in range(_order_count(rng, person)):
            orders.append(_order(rng, person))
    orders.sort(key=lambda order: (order.ordered_at, order.person.number))
    for number, order in enumerate(orders, start=1):
        order.number = number
    return orders


def shop_database(orders: list[Order], cutoff: datetime) -> tuple[bytes, int, int]:
    """shop.db as it stood at `cutoff`, with the number of its orders and of its refunds."""
    order_rows = []
    refund_rows = []
    for order in orders:
        if order.ordered_at >= cutoff:
            break
        updated_at, status = order.version_at(cutoff)
        anonymous_id = order.channel.anonymous_id if order.channel else None
        made_by = (order.customer_id, order.email, order.phone, anonymous_id)
        bought = (order.destination, _money(order.cents), "USD", status)
        order_rows.append((order.order_id, *made_by, *bought, iso_seconds(order.ordered_at), iso_seconds(updated_at)))
        if order.refunded_at and order.refunded_at < cutoff:
            at = iso_seconds(order.refunded_at)
            key = f"R-{700_000 + order.number}"
            refund_rows.append(
                (key, order.order_id, order.customer_id, order.email, _money(order.refund_cents), at, at)
            )
    database = sqlite3.connect(":memory:")
    try:
        database.executescript(_SCHEMA)
        database.executemany(f"insert into orders values ({', '.join('?' * 11)})", order_rows)
        database.executemany(f"insert into refunds values ({', '.join('?' * 7)})", refund_rows)
        database.commit()
        return database.serialize(), len(order_rows), len(refund_rows)
    finally:
        database.close()


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _order_count(rng: random.Random, person: Person) -> int:
    if person.kind == "guest":
        return 1 + (rng.random() < 0.15)
    if person.kind != "customer" or rng.random() < 0.2:
        return 0
    days = person.last_day - person.first_day + 1
    return min(12, 1 + int(rng.expovariate(1 / (0.4 + 1.9 * person.activity)) * (0.4 + 0.6 * days / DAYS)))


def _order(rng: random.Random, person: Person) -> Order:
    ordered_at = draw_moment(rng, person.first_day, person.last_day).replace(microsecond=0)
    ordered_at = max(ordered_at, person.joined_at.replace(microsecond=0) + timedelta(minutes=12))
    destination = pick_destination(rng, person)
    cents = round(100 * DESTINATIONS[destination] * person.spending * rng.lognormvariate(-0.22, 0.45))
    channel = rng.choice(person.channels) if rng.random() < 0.72 else None
    as_guest = person.user_id is None or (rng.random() < 0.08 and not (channel and channel.is_shared))
    email = person.email_at(ordered_at)
    order = Order(
        number=0,
        person=person,
        channel=channel,
        customer_id=None if as_guest else person.user_id,
        email=spell_email(rng, email) if email and (as_guest or rng.random() < 0.9) else None,
        phone=spell_phone(person.phone, person.number) if person.phone and rng.random() < 0.5 else None,
        destination=destination,
        cents=cents,
        ordered_at=ordered_at,
    )
    _decide_fate(rng, order)
    return order


def _decide_fate(rng: random.Random, order: Order) -> None:
    """Most orders end in a journey; some are cancelled on the way, some refunded in full or in part."""
    chance = rng.random()
    later = order.ordered_at + timedelta(seconds=rng.randint(7_200, 86_400 * 12))
    if chance < 0.03:
        order.changes = [(later, "cancelled")]
    elif chance < 0.085:
        order.changes = [(later, "refunded")]
        order.refunded_at = later
        order.refund_cents = order.cents if rng.random() < 0.6 else order.cents * rng.choice((25, 50, 75)) // 100
    else:
        order.changes = [(order.ordered_at + timedelta(seconds=rng.randint(86_400 * 5, 86_400 * 40)), "travelled")]
    order.changes = [change for change in order.changes if change[0] < AS_OF]
    if not order.changes:
        order.refunded_at, order.refund_cents = None, 0


def spent_by(orders: list[Order]) -> dict[int, list[tuple[datetime, int]]]:
    """Each person's (by number) running total in cents, with the moment of every order."""
    totals: dict[int, list[tuple[datetime, int]]] = {}
    for order in orders:
        history = totals.setdefault(order.person.number, [])
        history.append((order.ordered_at, order.cents + (history[-1][1] if history else 0)))
    return totals
