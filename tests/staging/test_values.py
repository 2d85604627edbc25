"""Values of strangers as people see them: one home of odd lines on each engine, through to the audience and the sync."""

import json
from typing import Any

import pytest

from tests.support.harness import Platform

GRANTED = {"consent": {"categoryPreferences": {"email_marketing": True}}}
ARCHIVED = {"originalTimestamp": "2026-10-01T11:00:00Z", "sentAt": "2026-10-01T11:00:05Z", "receivedAt": "2026-10-01T10:00:06Z"}  # fmt: skip
ROUND = {"timestamp": "2026-10-01T10:00:00Z"}
CORRECTED = "2026-10-01 10:00:01"


def track(message: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": message, "userId": f"u-{message}", "event": "Door Opened", **more}


def identify(user: str, message: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, **({"messageId": message} if message else {}), **ROUND, **more}


def order(message: str, user: str = "buyer", event: str = "Order Completed", **properties: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": message, "userId": user, "event": event, **ROUND, "properties": properties}


# Arrival: the ids stand in another order than the lines, all in one second.
IN_ONE_SECOND = [
    identify("twice", "f-first", traits={"plan": "free"}), identify("twice", "a-then", traits={"plan": "pro"}),
    identify("ann", "m3", anonymousId="tablet", traits={"email": "ann@mail.example"}),
    identify("bob", "m2", anonymousId="tablet", traits={"email": "bob@mail.example"}),
    {"type": "track", "messageId": "m1", "event": "Door Opened", "anonymousId": "tablet", **ROUND},
    {"type": "alias", "messageId": "z-early", "userId": "late-user", "previousId": "known-later", **ROUND},
    identify("known-later", "b-known"),
    {"type": "alias", "messageId": "a-late", "userId": "late-user-2", "previousId": "known-later", **ROUND},
    *[identify(f"keyless-{n}", traits={"plan": plan}) for n in range(8) for plan in ("free", "pro")],
]  # fmt: skip

# message: (fields of time, occurred_at); None: impossible_timestamp.
TIMES: dict[str, tuple[dict[str, Any], str | None]] = {
    "archived": ({**ARCHIVED, "timestamp": CORRECTED}, CORRECTED),
    "archived-1970": ({"originalTimestamp": "1970-01-01T00:10:00Z", "sentAt": "1970-01-01T00:10:05Z",
                       "receivedAt": "2026-10-01T10:00:06Z", "timestamp": CORRECTED}, CORRECTED),
    "raw": ({**ARCHIVED, "originalTimestamp": None, "timestamp": "2026-10-01T11:00:00Z"}, CORRECTED),
    "raw-1970": ({"timestamp": "1970-01-01T00:10:00Z", "sentAt": "1970-01-01T00:10:05Z", "receivedAt": "2026-10-01T10:00:06Z"}, CORRECTED),
    "raw-2062": ({"timestamp": "2062-01-01T00:10:00Z", "sentAt": "2062-01-01T00:10:05Z", "receivedAt": "2026-10-01T10:00:06Z"}, CORRECTED),
    "only-original": (ARCHIVED, CORRECTED),
    "unreadable-timestamp": ({**ARCHIVED, "timestamp": "10 o'clock"}, CORRECTED),
    "unreadable-original": ({**ARCHIVED, "originalTimestamp": "noon", "timestamp": CORRECTED}, CORRECTED),
    "blank-original": ({**ARCHIVED, "originalTimestamp": " ", "timestamp": "2026-10-01T11:00:00Z"}, CORRECTED),
    "unreadable-sent": ({**ARCHIVED, "originalTimestamp": None, "sentAt": "soon", "timestamp": CORRECTED}, CORRECTED),
    "both-unreadable": ({**ARCHIVED, "originalTimestamp": "noon", "timestamp": "now"}, None),
    "numbers": ({"timestamp": 1790852400000, "sentAt": 1790852405, "receivedAt": "1790848806"}, CORRECTED),
    "half-day": ({"timestamp": "2026-10-01 10:00:01 PM"}, None),
    "moved-out-of-time": ({"timestamp": "1901-01-01", "sentAt": "2199-01-01", "receivedAt": "1950-01-01"}, None),
}  # fmt: skip

# What is said of an e-mail address that is none, and a later blank over a real one.
BLANK = [identify(f"blank-{n}", traits={"email": email, "first_name": "Vera"}, context=GRANTED)
         for n, email in enumerate(["", "   ", "n/a", "none", "undefined", "null", "unknown", "not-an-email", "\u200b", ["a@x.example"], {}, 5, True])]  # fmt: skip
LATER = [
    identify("real", traits={"email": "Real12@mail.example", "phone": "+351 910 000 012", "first_name": "Eva"}, context=GRANTED),
    identify("real", traits={"email": "", "phone": "ask me", "first_name": " "}) | {"timestamp": "2026-10-01T11:00:00Z"},
]  # fmt: skip

SPELLED = [
    identify("camel", traits={"firstName": "Lena", "lastName": "Ohm", "birthday": "1990-01-01",
                              "address": {"country": "DE"}, "email": "lena@mail.example"}),
    identify("rudder", context={"traits": {"email": "rs@mail.example", "first_name": "Rosa"}}),
    {"type": "track", "event": "Door Opened", "userId": "tracked", "context": {"traits": {"first_name": "Nobody"}}, **ROUND},
    identify("odd-context", context={"traits": "none"}),
]  # fmt: skip

# user: (properties, amount_usd, amount_missing_reason, reasons in quarantine)
MONEY: dict[str, tuple[dict[str, Any], float | None, str | None, list[tuple[str, str]]]] = {
    "plain": ({"total": 1234.5}, 1234.5, None, []),
    "dollar": ({"total": "$1,234.50"}, 1234.5, None, []),
    "comma": ({"total": "1234,50"}, None, "no_amount", [("properties.total", "not_money")]),
    "code": ({"total": "1234.50 USD"}, 1234.5, None, []),
    "empty": ({"total": "", "revenue": 1234.5}, 1234.5, None, []),
    "free": ({"total": "free", "revenue": 12}, 12, None, [("properties.total", "not_money")]),
    "yen": ({"total": 9000, "currency": "JPY"}, None, "no_rate", []),
    "euro": ({"total": "€10"}, None, "no_rate", []),
    "object": ({"total": {"amount": 1234.5, "currency": "USD"}}, None, "no_amount", [("properties.total", "not_money")]),
    "nan": ({"total": "NaN"}, None, "no_amount", [("properties.total", "not_money")]),
    "huge": ({"total": 1e30}, None, "no_amount", [("properties.total", "not_money")]),
    "conflict": ({"total": "€10", "currency": "USD"}, None, "no_amount", [("properties.total", "currency_conflict")]),
    "words": ({"total": 10, "currency": "US Dollar"}, None, "no_amount", [("properties.currency", "not_a_currency")]),
    "below": ({"total": -5}, None, "no_amount", [("properties.total", "negative_amount")]),
    "typo": ({"total": 7, "updated_at": "2062-01-01"}, 7, None, [("properties.updated_at", "future_timestamp")]),
}  # fmt: skip

CUSTOMERS = """customer_id,email,phone,first_name,last_name,country,loyalty_tier,birth_date,email_opt_in,updated_at
PM-1,pm1@mail.example,,Ana,Sol,PT,silver,,yes,2026-10-01 11:30:00 PM
""" + "".join(
    f"DUP-{n},dup{n}@mail.example,,Ana,Sol,PT,{tier},,yes,2026-10-01 00:00:00\n"
    for n in range(8)
    for tier in ("silver", "gold")
)


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    engine = request.getfixturevalue("postgres") if request.param == "postgres" else {}
    platform = Platform(tmp_path_factory.mktemp(f"values_{request.param}"), engine=engine)
    enveloped = {"batch": [track("enveloped", originalTimestamp=ARCHIVED["originalTimestamp"], timestamp=CORRECTED)],
                 "sentAt": ARCHIVED["sentAt"], "receivedAt": ARCHIVED["receivedAt"]}  # fmt: skip
    platform.drop("a-order.jsonl", IN_ONE_SECOND)
    platform.drop("b-times.jsonl", [*(track(name, **fields) for name, (fields, _) in TIMES.items()), enveloped])
    platform.drop("c-blank.jsonl", [*BLANK, *LATER, *SPELLED])
    platform.drop(
        "d-money.jsonl",
        [order(f"o-{user}", user=f"m-{user}", order_id=f"o-{user}", **told[0]) for user, told in MONEY.items()],
    )
    folder = platform.root / "company" / "crm"
    folder.mkdir(parents=True)
    (folder / "customers-2026-10-11.csv").write_text(CUSTOMERS)
    done = platform.cdp("run", "--as-of", "2026-11-20", "--no-deliver")
    assert "Completed" not in done.stderr, done.stderr
    assert platform.rows("select count(*) from profiles.profiles") != [(0,)], done.stdout + done.stderr + platform.log()
    return platform


def traits(home: Platform, user: str) -> dict[str, Any]:
    rows = home.rows(
        "select traits.trait, traits.value from profiles.traits as traits inner join identity.identifiers as held "
        f"on held.profile_id = traits.profile_id where held.identifier_type = 'user_id' and held.identifier_value = '{user}'"
    )
    return {trait: json.loads(value) for trait, value in rows}


def holder(home: Platform, kind: str, value: str) -> str:
    [(profile,)] = home.rows(
        f"select profile_id from identity.identifiers where identifier_type = '{kind}' and identifier_value = '{value}'"
    )
    return str(profile)


def test_lines_of_one_second_count_in_their_order(home: Platform) -> None:
    assert traits(home, "twice")["plan"] == "pro"
    assert {traits(home, f"keyless-{n}")["plan"] for n in range(8)} == {"pro"}
    assert {traits(home, f"DUP-{n}")["loyalty_tier"] for n in range(8)} == {"gold"}
    [(tablet,)] = home.rows("select profile_id from profiles.events where message_id = 'm1'")
    assert tablet == holder(home, "user_id", "ann") == holder(home, "anonymous_id", "tablet")
    assert tablet != holder(home, "user_id", "bob")
    arrivals = home.rows(
        "select message_id from staging.messages where message_id in ('m1', 'm2', 'm3', 'f-first') order by arrival"
    )
    assert [row[0] for row in arrivals] == ["f-first", "m3", "m2", "m1"]
    aliased = dict(home.rows("select message_id, identifiers from staging.messages where type = 'alias'"))
    assert '"anonymous_id"' in aliased["z-early"]
    assert '"anonymous_id"' not in aliased["a-late"]


def test_what_was_corrected_is_not_corrected_again(home: Platform) -> None:
    found = {
        name: str(at)
        for name, at in home.rows("select message_id, occurred_at from staging.messages where type = 'track'")
    }
    refused = {
        name
        for (name,) in home.rows(
            "select message_id from staging.quarantine where scope = 'record' and reason = 'impossible_timestamp'"
        )
    }
    assert {name: found.get(name) for name in TIMES} == {name: at for name, (_, at) in TIMES.items()}
    assert {name for name, (_, at) in TIMES.items() if at is None} <= refused
    assert found["enveloped"] == CORRECTED
    fields = set(
        home.rows(
            "select message_id, field from staging.quarantine where scope = 'field' and reason = 'impossible_timestamp'"
        )
    )
    assert fields == {("unreadable-timestamp", "timestamp"), ("unreadable-original", "originalTimestamp"), ("unreadable-sent", "sentAt"),
                      ("both-unreadable", "originalTimestamp")} - {("both-unreadable", "originalTimestamp")}  # fmt: skip
    assert home.rows(
        "select count(*) from staging.quarantine where source = 'crm' and reason = 'impossible_timestamp'"
    ) == [(1,)]


def test_a_blank_or_a_placeholder_is_no_contact_and_wipes_none(home: Platform) -> None:
    for number in range(len(BLANK)):
        assert traits(home, f"blank-{number}") == {"first_name": "Vera"}
    assert traits(home, "real") == {"email": "Real12@mail.example", "phone": "+351 910 000 012", "first_name": "Eva"}
    people = home.rows("select email, phone from profiles.profiles where first_name in ('Vera', 'Eva')")
    assert set(people) == {(None, None), ("real12@mail.example", "351910000012")}
    sent = {email for (email,) in home.rows("select email from activation.newsletter_to_crm")}
    assert sent == {"real12@mail.example", *(f"dup{n}@mail.example" for n in range(8))}
    assert len(home.rows("select profile_id from audiences.newsletter_subscribers")) == len(sent)


def test_traits_go_by_the_names_of_the_catalogue(home: Platform) -> None:
    assert traits(home, "camel") == {"first_name": "Lena", "last_name": "Ohm", "birth_date": "1990-01-01", "country": "DE",
                                     "address": {"country": "DE"}, "email": "lena@mail.example"}  # fmt: skip
    assert traits(home, "rudder") == {"email": "rs@mail.example", "first_name": "Rosa"}
    assert traits(home, "tracked") == {}
    refused = home.rows("select reason, detail from staging.quarantine where field = 'context.traits'")
    assert [row[0] for row in refused] == ["not_an_object"]


def test_money_is_read_or_refused_and_yen_are_no_dollars(home: Platform) -> None:
    found = {
        row[0][2:]: row[1:]
        for row in home.rows("select order_id, amount_usd, amount_missing_reason from profiles.orders")
    }
    assert found == {user: (usd, reason) for user, (_, usd, reason, _) in MONEY.items()}
    refused: dict[str, list[tuple[str, str]]] = {user: [] for user in MONEY}
    for message, field, reason in home.rows(
        "select message_id, field, reason from staging.quarantine where scope = 'field' and message_id like 'o-%'"
    ):
        refused[message[2:]].append((field, reason))
    assert refused == {user: reasons for user, (_, _, _, reasons) in MONEY.items()}
    counted = home.rows("select sum(order_count) from attributes.order_count")
    assert counted == [(len(MONEY),)]
    assert home.rows("select sum(lifetime_value_usd) from attributes.lifetime_value") == [
        (sum(told[1] or 0 for told in MONEY.values()),)
    ]
