"""The demo company's website and app: what people do there, as messages in the Segment spec.

`make_messages` lets every person browse, log in, consent and buy; `demo.mess` then spoils what it made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from cdp_orchestration.demo.company.calendar import AS_OF, DAYS, MIDNIGHT, count_for, day_of, draw_moment, iso, stream
from cdp_orchestration.demo.company.people import (
    CHAIN_LENGTH,
    KIOSK,
    Channel,
    Consent,
    Person,
    random_uuid,
    spell_email,
    spell_phone,
)
from cdp_orchestration.demo.company.shop import DESTINATIONS, Order, pick_destination
from cdp_orchestration.demo.company.truth import Notes

Message = dict[str, Any]

JUNK = ("null", "unknown", "0000", "00000000-0000-0000-0000-000000000000", "anonymous")
"""What broken tags send where an identifier belongs."""

_JUNK_CHANCE = 0.004
_LATE_APP_VISITS = 0.04
_LATE_WEB_VISITS = 0.004
_VISITS = {"visitor": 1.2, "subscriber": 1.8, "guest": 0.9, "customer": 1.25}


@dataclass(slots=True)
class Arrival:
    """One line of a web file: when it arrived, and the message, or the raw text of something that is none."""

    at: datetime
    content: Message | str


@dataclass(slots=True)
class _Visit:
    """One visit: who, where, when. `steps_apart` is in seconds, `delay` how long the device was offline."""

    person: Person
    channel: Channel
    at: datetime
    steps_apart: float
    knows_user: bool
    delay: timedelta = timedelta()

    def step(self) -> datetime:
        """The moment of the next message."""
        self.at += timedelta(seconds=self.steps_apart)
        return self.at


def make_messages(people: list[Person], orders: list[Order], notes: Notes) -> list[Arrival]:
    """Everything that website, app and kiosk sent, in the order in which it was made up, not of arrival."""
    site = _Site(notes)
    bought: dict[int, list[Order]] = {}
    for order in orders:
        if order.channel:
            bought.setdefault(order.person.number, []).append(order)
    for person in people:
        if person.kind == "chain":
            site.reveal_chain(person)
        else:
            site.live(person, bought.get(person.number, []))
    site.stand_kiosk(people)
    return site.arrivals


class _Site:
    """Turns what people do into messages."""

    def __init__(self, notes: Notes) -> None:
        self.arrivals: list[Arrival] = []
        self._rng = stream("web")
        self._notes = notes
        self._used: dict[int, set[str]] = {}
        self._logged_in: set[tuple[int, str]] = set()

    def live(self, person: Person, orders: list[Order]) -> None:
        """All visits of one person, oldest first."""
        rng = self._rng
        plans: list[tuple[datetime, Callable[[], None]]] = []
        for order in orders:
            plans.append((order.ordered_at, partial(self._visit_to_buy, person, order)))
        if person.kind == "customer" and person.joined_at >= MIDNIGHT:
            plans.append((person.joined_at, partial(self._visit_to_sign_up, person)))
        for consent in person.consents:
            if consent.through == "web":
                plans.append((consent.at, partial(self._visit_to_decide, person, consent)))
        visits = int(rng.expovariate(1 / (_VISITS[person.kind] * (0.3 + person.activity))))
        if person.kind == "visitor":
            visits = max(visits, 1)
        channels = [rng.choice(person.channels) for _ in range(visits)]
        channels += [channel for channel in person.channels if channel.is_shared for _ in range(2)]
        for channel in channels:
            at = draw_moment(rng, person.first_day, person.last_day)
            plans.append((at, partial(self._visit_to_browse, person, channel, at)))
        plans.sort(key=lambda plan: plan[0])
        for _, visit in plans:
            visit()

    def reveal_chain(self, person: Person) -> None:
        """Twenty browsers and twenty addresses in a row. The first links make pairs, the next ones pairs of
        pairs, and so on; the one that makes them all one person arrives on the last day."""
        rng = self._rng
        browsers = [Channel(random_uuid(rng), "web", timedelta()) for _ in range(CHAIN_LENGTH // 2)]
        addresses = [f"rosa.nomad.{number:02d}@mailbox.example" for number in range(1, CHAIN_LENGTH // 2 + 1)]
        # Link n joins the identifiers n and n+1 of browser, address, browser, address ... The even come after
        # the odd, those divisible by 4 later still, and link 32 is the last.
        links = sorted(range(1, CHAIN_LENGTH), key=lambda link: (link & -link, link))
        for place, link in enumerate(links):
            browser, address = browsers[link // 2], addresses[(link - 1) // 2]
            at = MIDNIGHT + timedelta(days=place * (DAYS - 1) // (len(links) - 1), hours=14, minutes=place)
            visit = _Visit(person, browser, at, 5.0, knows_user=False)
            self._send(visit, "identify", traits={"email": address})
            self._notes.saw("email", address, person, day_of(at))
            self._notes.made("chain_links", day_of(at))

    def stand_kiosk(self, people: list[Person]) -> None:
        """The tablet in the lobby, on which people leave their address: one device, hundreds of people."""
        rng = self._rng
        wanted = count_for(len(people), 300)
        passers_by = [person for person in people if person.email and person.last_day == DAYS - 1]
        tablet = Channel("", "android", timedelta(), device_id=KIOSK)
        for person in rng.sample(passers_by, min(wanted, len(passers_by))):
            at = draw_moment(rng, person.first_day, person.last_day)
            visit = _Visit(person, tablet, at, 20.0, knows_user=False)
            self._send(visit, "screen", name="Welcome")
            email = spell_email(rng, person.email_at(at) or "")
            self._note_email(email, person, day_of(at))
            self._send(visit, "identify", traits={"email": email})
            self._notes.made("kiosk_visits", day_of(at))

    def _visit_to_browse(self, person: Person, channel: Channel, at: datetime) -> None:
        rng = self._rng
        visit = self._arrive(person, channel, at, steps_apart=rng.uniform(12, 130))
        self._look_around(visit, pick_destination(rng, person), fills_cart=rng.random() < 0.3)

    def _visit_to_buy(self, person: Person, order: Order) -> None:
        assert order.channel
        start = order.ordered_at - timedelta(seconds=self._rng.randint(280, 680))
        # At most 16 messages before the order, so the cart is always filled before it is paid.
        visit = self._arrive(person, order.channel, start, steps_apart=15.0, delayed=False)
        self._look_around(visit, order.destination, fills_cart=True, price=order.cents / 100)
        context: Message = {}
        if order.email and self._rng.random() < 0.5:
            context = {"traits": {"email": order.email}}
            self._note_email(order.email, person, day_of(visit.at))
        properties = {"destination": order.destination, "value": order.cents / 100, "currency": "USD"}
        self._send(visit, "track", event="Checkout Started", properties=properties, context=context)
        if person.kind == "guest":
            self._identify(visit)

    def _visit_to_sign_up(self, person: Person) -> None:
        channel = person.channels[0]
        visit = _Visit(person, channel, person.joined_at - timedelta(seconds=90), 9.0, knows_user=False)
        self._send(visit, "page", name="Home", properties={"path": "/"})
        self._send(visit, "page", name="Sign up", properties={"path": "/signup"})
        self._log_in(visit, "Signed Up")
        if self._rng.random() < 0.08:
            self._send(visit, "alias", previousId=channel.anonymous_id)
            self._notes.made("aliases", day_of(visit.at))
        self._decide(visit, person.consents[0].is_granted)

    def _visit_to_decide(self, person: Person, consent: Consent) -> None:
        """To subscribe to the newsletter, or to change one's mind; the address is known from then on."""
        visit = self._arrive(person, person.channels[0], consent.at, steps_apart=4.0, delayed=False, logs_in=True)
        self._identify(visit)
        if person.kind == "subscriber" and consent.at == person.joined_at:
            self._send(visit, "track", event="Newsletter Subscribed", properties={"list": "postcards"})
        self._decide(visit, consent.is_granted)

    def _arrive(
        self,
        person: Person,
        channel: Channel,
        at: datetime,
        steps_apart: float,
        delayed: bool = True,
        logs_in: bool = False,
    ) -> _Visit:
        """Open the site or app: anonymously, or logged in, or the one and then the other."""
        rng = self._rng
        visit = _Visit(person, channel, at, steps_apart, knows_user=False)
        late = _LATE_WEB_VISITS if channel.platform == "web" else _LATE_APP_VISITS
        if delayed and rng.random() < late:
            # Whole days: it arrives at the same hour of a later day, so a visit still crosses no midnight.
            delay = timedelta(days=rng.randint(1, 6))
            if at + delay < AS_OF - timedelta(hours=1):
                visit.delay = delay
        if channel.anonymous_id not in self._used.get(person.number, ()):
            self._first_use(visit)
        key = (person.number, channel.anonymous_id)
        if not person.user_id or at < person.joined_at:
            self._open(visit)
        elif channel.is_shared or logs_in:
            self._log_in(visit, "Logged In")
            self._open(visit)
        elif key in self._logged_in and rng.random() < 0.75:
            visit.knows_user = True
            self._open(visit)
        else:
            self._open(visit)
            if rng.random() < 0.7:
                self._notes.made("anonymous_then_logged_in", self._day(visit))
                self._log_in(visit, "Logged In")
        return visit

    def _first_use(self, visit: _Visit) -> None:
        used = self._used.setdefault(visit.person.number, set())
        used.add(visit.channel.anonymous_id)
        if len(used) == 2:
            self._notes.made("people_with_several_devices", self._day(visit))
        if visit.channel.is_shared and visit.channel is not visit.person.channels[0]:
            self._notes.made("shared_browsers", self._day(visit))
        if visit.channel.platform == "web" and not visit.channel.is_shared and self._rng.random() < 0.5:
            consent = {"categoryPreferences": {"analytics": self._rng.random() < 0.7}}
            self._send(visit, "track", event="Consent Banner Answered", context={"consent": consent})

    def _open(self, visit: _Visit) -> None:
        if visit.channel.platform == "web":
            self._send(visit, "page", name="Home", properties={"path": "/"})
        else:
            self._send(visit, "screen", name="Start")

    def _look_around(self, visit: _Visit, destination: str, fills_cart: bool, price: float | None = None) -> None:
        rng = self._rng
        if rng.random() < 0.7:
            properties = {"destination": destination, "travellers": rng.randint(1, 4)}
            self._send(visit, "track", event="Trip Searched", properties=properties)
        for _ in range(1 + min(4, int(rng.expovariate(1 / 0.9)))):
            place = destination if rng.random() < 0.6 else pick_destination(rng, visit.person)
            if rng.random() < 0.4 and visit.channel.platform == "web":
                self._send(visit, "page", name="Destination", category="trips", properties={"destination": place})
            self._send(visit, "track", event="Product Viewed", properties=self._offer(place))
        if fills_cart:
            self._send(visit, "track", event="Product Added", properties=self._offer(destination, price))
            self._notes.filled_cart(visit.person, visit.at, self._day(visit))

    def _offer(self, destination: str, price: float | None = None) -> Message:
        price = price or round(DESTINATIONS[destination] * self._rng.uniform(0.8, 1.5), 2)
        return {"destination": destination, "price": price, "currency": "USD"}

    def _log_in(self, visit: _Visit, event: str) -> None:
        visit.knows_user = True
        key = (visit.person.number, visit.channel.anonymous_id)
        self._send(visit, "track", event=event, properties={"method": "password"})
        if key not in self._logged_in:
            self._logged_in.add(key)
            self._identify(visit)

    def _identify(self, visit: _Visit) -> None:
        """Say who one is, in the spelling of the moment."""
        person, day = visit.person, self._day(visit)
        traits: Message = {
            "first_name": person.first_name,
            "last_name": person.last_name,
            "country": person.country,
        }
        if person.kind == "subscriber":
            traits = {"first_name": person.first_name}
        if email := person.email_at(visit.at):
            traits["email"] = spell_email(self._rng, email)
            self._note_email(traits["email"], person, day)
        if person.phone and self._rng.random() < 0.3:
            traits["phone"] = spell_phone(person.phone, person.number)
            self._notes.saw("phone", person.phone, person, day)
            if traits["phone"] != person.phone:
                self._notes.made("phones_in_other_spelling", day)
        self._send(visit, "identify", traits=traits)

    def _note_email(self, email: str, person: Person, day: int) -> None:
        self._notes.saw("email", email, person, day)
        if email != email.strip().lower():
            self._notes.made("emails_in_other_spelling", day)

    def _decide(self, visit: _Visit, is_granted: bool) -> None:
        preferences = {"email_marketing": is_granted, "analytics": is_granted or self._rng.random() < 0.5}
        context: Message = {"consent": {"categoryPreferences": preferences}}
        self._send(visit, "track", event="Consent Preferences Updated", context=context)
        self._notes.made("consents_given" if is_granted else "consents_withdrawn", self._day(visit))

    def _day(self, visit: _Visit) -> int:
        """The day on which the visit's next message arrives. No visit crosses midnight."""
        return day_of(visit.at + visit.delay)

    def _send(self, visit: _Visit, kind: str, context: Message | None = None, **fields: Any) -> None:
        """Make one message and note whose identifiers it shows."""
        rng, channel, person = self._rng, visit.channel, visit.person
        at = visit.step().replace(microsecond=0)
        arrived = at + visit.delay + timedelta(milliseconds=rng.randint(60, 900))
        day = day_of(arrived)
        message: Message = {"type": kind, "messageId": f"m-{rng.getrandbits(72):018x}"}
        anonymous_id = channel.anonymous_id
        chance = rng.random()
        if kind in ("page", "screen") and anonymous_id and chance < _JUNK_CHANCE:
            anonymous_id = rng.choice(JUNK)
            self._notes.made("junk_identifiers", day)
        elif anonymous_id:
            self._notes.saw("anonymous_id", anonymous_id, person, day)
        if anonymous_id:
            message["anonymousId"] = anonymous_id
        if visit.knows_user and person.user_id:
            message["userId"] = person.user_id
            self._notes.saw("user_id", person.user_id, person, day)
        elif kind == "page" and chance > 1 - _JUNK_CHANCE:
            message["userId"] = rng.choice(JUNK)
            self._notes.made("junk_identifiers", day)
        message |= fields
        message["context"] = self._context(visit, day) | (context or {})
        self._stamp(message, at, arrived, visit)
        if visit.delay:
            self._notes.made("late_events", day)
        if channel.skew:
            self._notes.made("skewed_clocks", day)
        self.arrivals.append(Arrival(arrived, message))

    def _stamp(self, message: Message, at: datetime, arrived: datetime, visit: _Visit) -> None:
        """The times as device and collector wrote them; a skewed clock spoils timestamp and sentAt alike."""
        chance, skew = self._rng.random(), visit.channel.skew
        if chance < 0.04:
            message["originalTimestamp"] = iso(at + skew)
        if not 0.01 < chance < 0.04:
            message["timestamp"] = iso(at + skew)
        if skew or chance < 0.95:
            message["sentAt"] = iso(at + skew + visit.delay)
        message["receivedAt"] = iso(arrived)

    def _context(self, visit: _Visit, day: int) -> Message:
        channel, person, rng = visit.channel, visit.person, self._rng
        if channel.platform == "web":
            return {"library": {"name": "saltmarsh.js", "version": "4.2.0"}}
        device: Message = {"id": channel.device_id, "type": channel.platform}
        self._notes.saw(f"{channel.platform}_id", channel.device_id or "", person, day)
        if channel.advertising_id:
            device |= {"advertisingId": channel.advertising_id, "adTrackingEnabled": channel.may_track}
            if channel.may_track and channel.advertising_id in JUNK:
                self._notes.made("junk_identifiers", day)
            elif channel.may_track:
                self._notes.saw(f"{channel.platform}_idfa", channel.advertising_id, person, day)
        context: Message = {"library": {"name": "saltmarsh-app", "version": "2.8.1"}, "device": device}
        if visit.knows_user and rng.random() < 0.02:
            known = {"id": person.user_id, "type": "user_id", "collection": "users", "encoding": "none"}
            context["externalIds"] = [known, known | {"id": f"SM{person.number:06d}", "type": "loyalty_card"}]
            self._notes.made("external_ids", day)
        return context
