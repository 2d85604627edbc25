"""The demo company's people: who they are, what browsers and devices they use, what they consented to."""

import random
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cdp_orchestration.demo.company.calendar import DAYS, MIDNIGHT, count_for, day_of, draw_moment, stream
from cdp_orchestration.demo.company.names import COUNTRIES, MAIL_DOMAINS

KINDS = {"visitor": 28, "subscriber": 10, "guest": 7, "customer": 55}
"""Visitors never say who they are, subscribers leave an e-mail, guests buy without an account."""

CAMPAIGNS = tuple((f"postcard-{number:02d}", 4 + 14 * (number - 1)) for number in range(1, 10))
"""The newsletters: name and 0-based day, each sent at 09:00."""

CHAIN_LENGTH = 40
KIOSK = "kiosk-lobby-01"


@dataclass(slots=True)
class Channel:
    """One browser, or the app on one device. `skew` is how far its clock runs ahead of the true time."""

    anonymous_id: str
    platform: str
    skew: timedelta
    device_id: str | None = None
    advertising_id: str | None = None
    may_track: bool = False
    is_shared: bool = False


@dataclass(slots=True)
class Consent:
    """One decision about e-mail marketing. `through` says where it was made: account, web or email."""

    at: datetime
    is_granted: bool
    through: str
    campaign: str = ""


@dataclass(slots=True)
class Person:
    """Someone real. `joined_at` is when they gave their e-mail or opened an account, maybe before day 1."""

    number: int
    kind: str
    first_name: str
    last_name: str
    country: str
    birth_date: str
    joined_at: datetime
    first_day: int
    last_day: int
    activity: float
    spending: float
    email: str | None = None
    phone: str | None = None
    user_id: str | None = None
    new_email: str | None = None
    new_email_at: datetime | None = None
    channels: list[Channel] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)

    @property
    def person_id(self) -> str:
        """The truth's own key; no record carries it."""
        return f"person-{self.number:05d}"

    def email_at(self, moment: datetime) -> str | None:
        """The address in use at that moment."""
        if self.new_email_at and moment >= self.new_email_at:
            return self.new_email
        return self.email

    def consent_at(self, moment: datetime) -> bool | None:
        """The latest decision about e-mail marketing before that moment; None before the first."""
        made = [consent.is_granted for consent in self.consents if consent.at < moment]
        return made[-1] if made else None


def make_people(count: int) -> list[Person]:
    """`count` people; the last one is the chain, one person behind forty identifiers."""
    rng = stream("people")
    people = [_person(rng, number) for number in range(1, count)]
    _share_browsers(rng, people, pairs=count_for(count, 12, at_least=1))
    for person in people:
        _decide_consents(rng, person)
    people.append(_chain_person(count))
    return people


def spell_email(rng: random.Random, email: str) -> str:
    """The address as people type it: one in twelve in other letters or with blanks around it."""
    chance = rng.random()
    if chance < 0.04:
        return email.title()
    if chance < 0.06:
        return email.upper()
    if chance < 0.08:
        return f" {email} "
    return email


def spell_phone(phone: str, number: int) -> str:
    """The phone number as forms deliver it: mostly E.164, some people's with 00 or in groups."""
    if number % 29 == 0:
        return "00" + phone[1:]
    if number % 31 == 0:
        return f"{phone[:-9]} {phone[-9:-6]} {phone[-6:-3]} {phone[-3:]}"
    return phone


def random_uuid(rng: random.Random) -> str:
    """A random id in the usual 8-4-4-4-12 spelling."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _person(rng: random.Random, number: int) -> Person:
    kind = rng.choices(list(KINDS), weights=list(KINDS.values()))[0]
    country = rng.choices(list(COUNTRIES), weights=[each.weight for each in COUNTRIES.values()])[0]
    _, calling_code, first_names, last_names = COUNTRIES[country]
    first_name, last_name = rng.choice(first_names), rng.choice(last_names)
    first_day, last_day, joined_at = _lifetime(rng, kind)
    person = Person(
        number=number,
        kind=kind,
        first_name=first_name,
        last_name=last_name,
        country=country,
        birth_date=f"{rng.randint(1946, 2006)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        joined_at=joined_at,
        first_day=first_day,
        last_day=last_day,
        activity=rng.lognormvariate(-0.3, 0.8),
        spending=rng.lognormvariate(0.0, 0.5),
    )
    if kind != "visitor":
        person.email = f"{_ascii(first_name)}.{_ascii(last_name)}{number}@{rng.choice(MAIL_DOMAINS)}"
    if kind in ("customer", "guest") and rng.random() < 0.6:
        person.phone = f"+{calling_code}9{number:05d}{rng.randint(100, 999)}"
    if kind == "customer":
        person.user_id = f"C-{100_000 + number}"
        if rng.random() < 0.03 and last_day > first_day + 10:
            person.new_email = f"{_ascii(last_name)}.{_ascii(first_name)}{number}@{rng.choice(MAIL_DOMAINS)}"
            person.new_email_at = draw_moment(rng, first_day + 5, last_day)
    person.channels = _channels(rng, kind)
    return person


def _ascii(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return folded.lower().replace(" ", "")


def _lifetime(rng: random.Random, kind: str) -> tuple[int, int, datetime]:
    """First and last active day, and when the person joined."""
    last = DAYS - 1
    if kind == "visitor":
        first = day_of(draw_moment(rng, 0, last))
        return first, min(last, first + int(rng.expovariate(1 / 12))), MIDNIGHT + timedelta(days=first)
    if kind == "customer" and rng.random() < 0.6:
        joined_at = MIDNIGHT - timedelta(seconds=rng.randint(86_400, 86_400 * 900))
        first = 0
    else:
        joined_at = draw_moment(rng, 0, last - 5)
        first = day_of(joined_at)
    if rng.random() < 0.28:  # gone quiet
        last = min(last, max(first + 1, rng.randint(15, 70)))
    return first, last, joined_at


def _channels(rng: random.Random, kind: str) -> list[Channel]:
    browsers = 1 + (rng.random() < 0.35) + (kind == "customer" and rng.random() < 0.2)
    channels = [Channel(random_uuid(rng), "web", _skew(rng)) for _ in range(browsers)]
    apps = (rng.random() < 0.4) + (rng.random() < 0.06) if kind == "customer" else 0
    for _ in range(apps):
        platform = rng.choice(("android", "ios"))
        may_track = rng.random() < 0.6
        all_zero = may_track and rng.random() < 0.04
        channels.append(
            Channel(
                anonymous_id=random_uuid(rng),
                platform=platform,
                skew=_skew(rng),
                device_id=f"{rng.getrandbits(64):016x}" if platform == "android" else random_uuid(rng).upper(),
                advertising_id="00000000-0000-0000-0000-000000000000" if all_zero else random_uuid(rng),
                may_track=may_track,
            )
        )
    return channels


def _skew(rng: random.Random) -> timedelta:
    if rng.random() < 0.97:
        return timedelta()
    return timedelta(seconds=rng.choice((-1, 1)) * rng.choice((240, 3_600, 7_200, 86_400 * 3)))


def _share_browsers(rng: random.Random, people: list[Person], pairs: int) -> None:
    """Two customers of one household log in on the first one's browser."""
    customers = [person for person in people if person.kind == "customer" and person.last_day == DAYS - 1]
    chosen = rng.sample(customers, min(2 * pairs, len(customers) // 2 * 2))
    for owner, guest in zip(chosen[::2], chosen[1::2], strict=True):
        owner.channels[0].is_shared = True
        guest.channels.append(owner.channels[0])


def _decide_consents(rng: random.Random, person: Person) -> None:
    if person.email is None:
        return
    first_grant = {"customer": 0.66, "subscriber": 1.0, "guest": 0.35}[person.kind]
    is_granted = rng.random() < first_grant
    if person.kind == "guest" and not is_granted:
        return
    person.consents = [Consent(person.joined_at, is_granted, "account" if person.kind == "customer" else "web")]
    first = max(person.first_day, day_of(person.joined_at) + 1, 1)
    if first > person.last_day:
        return
    chance = rng.random()
    if is_granted and chance < 0.06:
        later = [(name, day) for name, day in CAMPAIGNS if day >= first]
        if later:
            campaign, day = rng.choice(later)
            at = MIDNIGHT + timedelta(days=day, hours=9, seconds=rng.randint(600, 30_000))
            person.consents.append(Consent(at, False, "email", campaign))
    elif chance < 0.13:
        at = draw_moment(rng, first, person.last_day)
        person.consents.append(Consent(at, not is_granted, "web"))
        if rng.random() < 0.25 and day_of(at) < person.last_day:
            again = draw_moment(rng, day_of(at) + 1, person.last_day)
            person.consents.append(Consent(again, is_granted, "web"))


def _chain_person(number: int) -> Person:
    """Someone with twenty browsers and twenty addresses, named by place in the chain."""
    return Person(
        number=number,
        kind="chain",
        first_name="Rosa",
        last_name="Nomad",
        country="PT",
        birth_date="1979-05-12",
        joined_at=MIDNIGHT,
        first_day=0,
        last_day=DAYS - 1,
        activity=0.0,
        spending=0.0,
    )
