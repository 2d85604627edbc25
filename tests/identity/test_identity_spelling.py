"""How identifiers are spelled and which identify nobody: the warehouse's SQL on both engines and Python's twin, value for value."""

import json
import random
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_orchestration.identity import spelling
from cdp_orchestration.identity.rules import identity_rules
from tests.conftest import connect
from tests.support.macros import rendered

RULES: dict[str, Any] = {**identity_rules(), "calling_code": "49"}
KINDS = ("text", "lower", "email", "phone")
TYPES = {"text": "user_id", "lower": "ios_id", "email": "email", "phone": "phone"}


def sql(engine: str, what: str) -> str:
    """Of a relation with (type, value): what each is spelled, and the rule that keeps it from identifying."""
    value = rendered(engine, "spelled_identifier", "type", "value", rules=RULES)
    if what == "contact":
        return f"""case when type = 'email' then {rendered(engine, "contact_value", "email", "value", rules=RULES)}
            else {rendered(engine, "contact_value", "phone", "value", rules=RULES)} end"""
    return str(rendered(engine, "blocking_rule", "type", "spelled", rules=RULES) if what == "rule" else value)


class Engines:
    """The same question to DuckDB, and to PostgreSQL where one answers."""

    def __init__(self, server: Any) -> None:
        self.duckdb, self.server = duckdb.connect(), server
        self.sql = {engine: {what: sql(engine, what) for what in ("spelled", "rule", "contact")} for engine in ("duckdb", "postgres")}  # fmt: skip

    def judged(self, given: list[tuple[str, str]]) -> list[tuple[str, str | None, str | None]]:
        """(spelled, rule, contact value) of each (type, value), which the engines must agree on."""
        places = [(place, *each) for place, each in enumerate(given)]
        columns = dict(zip(("place", "type", "value"), map(list, zip(*places, strict=True)), strict=True))
        self.duckdb.register("given", pyarrow.table(columns))
        found = self.duckdb.execute(self._question("duckdb")).fetchall()
        if self.server:
            self.server.execute(
                'create temp table if not exists given(place integer, type text collate "C", value text collate "C")'
            )
            self.server.execute("truncate given")
            rows = b",".join(self.server.mogrify("(%s, %s, %s)", each) for each in places)
            self.server.execute(b"insert into given values " + rows)
            self.server.execute(self._question("postgres"))
            theirs = self.server.fetchall()
            differ = [each for each in zip(given, found, theirs, strict=True) if each[1] != each[2]]
            assert not differ, f"DuckDB and PostgreSQL differ: {differ[:5]}"
        for (kind, value), (text, *_) in zip(given, found, strict=True):
            assert spelling.spelled(RULES, kind, value) == (kind, text), f"Python differs: {kind} {value!r}"
        return found

    def _question(self, engine: str) -> str:
        of = self.sql[engine]
        return f"""select spelled, {of["rule"]}, contact from (select place, type, {of["spelled"]} as spelled,
            case when type in ('email', 'phone') then {of["contact"]} end as contact from given) as asked order by place"""


@pytest.fixture(scope="module")
def engines(request: pytest.FixtureRequest) -> Iterator[Engines]:
    try:
        server = request.getfixturevalue("postgres")
    except pytest.skip.Exception:  # everywhere but in CI, where the fixture fails
        yield Engines(None)
        return
    with closing(connect(server, server["PGDATABASE"])) as connection, connection.cursor() as cursor:
        yield Engines(cursor)


def test_one_text_has_one_spelling(engines: Engines) -> None:
    """What is invisible, wide, or written in another form of Unicode; and what only looks alike stays apart."""
    same = {
        ("email", "nina17@mail.example"): [
            " nina17@mail.example\t", "nina17@mail.example\u00a0", "\u200bnina17@mail.example\ufeff", "nina17@mail.example\u2060",
            "\u202anina17@mail.example\u202c", "nina17@mail.example\u3000", "nina\u200b17@mail.example", "ni\u00adna17@mail.example",
            "\u2800nina17@mail.example\u3164", "nina17@mail.example\U000e0041", "NINA17@Mail.Example", "ｎｉｎａ１７＠ｍａｉｌ．ｅｘａｍｐｌｅ",
            "mailto:nina17@mail.example", "MAILTO:nina17@mail.example?subject=Hi", "Nina <nina17@mail.example>", "'nina17@mail.example'",
            '"nina17@mail.example"', "nina17﹫mail.example", "\x00nina17@mail.example"[1:], "nina17@mail.example\x1f\x7f", "\x85nina17@mail.example\u2029",
        ],
        ("email", "zoé@müller.example"): ["Zoe\u0301@Mu\u0308ller.example", "ZOÉ@MÜLLER.EXAMPLE", "zoe\u200b\u0301@müller.example"],
        ("email", "ipek@σοφοσ.example"): ["İPEK@ΣΟΦΟΣ.example", "i\u0307pek@σοφος.example"],
        ("user_id", "VIP 12"): ["VIP\u00a012", "\u200bVIP\u300012 ", "ＶＩＰ 12", "VIP\t12"],
        ("user_id", "ガ1"): ["ｶﾞ1", "カ\u30991", "ガ\u20601"],
        ("user_id", "oﬃce"): [], ("user_id", "office"): ["oﬃce"],
        ("user_id", "C1"): [" C1", "C1\ufe0f"], ("user_id", "c1"): [],
        ("phone", "351912000118"): [
            "+351 912 000 118", "+351\u202f912\u2011000\u2013118", "'+351912000118", "351912000118.0", "(+351) 912.000.118",
            "tel:+351-912-000-118", "00351/912000118", "+351 (0) 912 000 118", "+٣٥١٩١٢٠٠٠١١٨", "＋３５１９１２０００１１８", "+३५१ ९१२ ००० ११८",
            "+351·912·000·118", "+351 912−000−118", "351912000118\u200e", "+00351912000118", "[351] 912_000_118",
        ],
        ("phone", "491511234567"): ["0151 1234567", "+49 (0)151 1234567", "0049 151 1234567", "49 151 1234567"],
    }  # fmt: skip
    asked = [
        (kind, value) for (kind, one), values in same.items() for value in (*values, *([] if one == "oﬃce" else [one]))
    ]
    right = [one for (kind, one), values in same.items() for _ in (*values, *([] if one == "oﬃce" else [one]))]
    wrong = [(ask, found[:2]) for ask, one, found in zip(asked, right, engines.judged(asked), strict=True)
             if found[:2] != (one, None)]  # fmt: skip
    assert not wrong


NOBODY = [
    "(null)", "<null>", "id", "email", '"null"', "'undefined'", "{{user.id}}", "${userId}", "%USER_ID%", "Optional(nil)", "\\N",
    "(not set)", "#N/A", "NULL", "None", "NaN", "undefined", "0", "00000000-0000-0000-0000-000000000000", "[object Object]",
    "anonymous", "test", "", " ", "\u200b", "null\u200b", "«null»", "`null`", "( null )", '["null"]', '\\"null\\"', "“none”",
    "Optional(Optional(nil))", 'Optional("")', "Some(None)", "{guest}", "{{ }}", "<%= id %>", "*|EMAIL|*", "[[user]]", "#{id}",
    "%%EMAIL%%", "__USER_ID__", "{user_id}", "[EMAIL]", "$USER_ID", ":user_id", "???", "-", '"', "()", "[]", "{}",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "ＮＵＬＬ", "（null）", '"\\N"', '"[object Object]"', "[object Null]",
    "{{user.email}}@mail.example", "N/A", "(0)", "【null】", "'%USER_ID%'", "#REF!", "9774d56d682e549c", "02:00:00:00:00:00",
]  # fmt: skip
SOMEBODY = [
    "C1", "1", "007", "0x1", "nullable", "id-7", "user7", '"C-1"', "(real)", 'Optional("C1")', "{550E8400-E29B-41D4-A716-446655440000}",
    "a%40b%20c", "é", "日本", "@ada", "O'Neil", "N", "$device:abc", "#1234", "ff",
]  # fmt: skip


def test_placeholders_and_unfilled_templates_identify_nobody(engines: Engines) -> None:
    judged = engines.judged([("user_id", value) for value in NOBODY + SOMEBODY])
    assert [value for value, (_, rule, _) in zip(NOBODY, judged, strict=False) if rule is None] == []
    assert [value for value, (_, rule, _) in zip(SOMEBODY, judged[len(NOBODY) :], strict=True) if rule] == []
    assert {rule for _, rule, _ in judged} == {None, "blocked_value", "blocked_pattern"}
    # Nor is such a value a contact trait.
    contacts = engines.judged([(kind, value) for kind in ("email", "phone") for value in NOBODY])
    assert {contact for _, _, contact in contacts} == {None}


def test_what_a_type_cannot_hold_identifies_nobody(engines: Engines) -> None:
    no_address = ["ask me", "a@@b", "@b", "a@", "a b@c", "a@b@c", "a@b,c@d", "a@b;", 'Optional("a@b")', "C1"]
    no_number = ["ask me", "3.51912E+11", "911", "123456", "+3519120001181234", "+1 555 123 4567 ext 12", "1-800-FLOWERS",
                 "9999999999", "+351912000118, +351912000119", "tel:+351912000118;ext=5", "+351912+118", "12.5"]  # fmt: skip
    judged = engines.judged([*(("email", v) for v in no_address), *(("phone", v) for v in no_number)])
    rules = [rule for _, rule, _ in judged]
    assert rules == ["not_an_email"] * len(no_address) + ["not_a_phone"] * len(no_number)
    assert {contact for *_, contact in judged} == {None}
    addresses = ["a@b", "a+b@c.example", '"ada k"@mail.example', "a@[127.0.0.1]", "o'neil@mail.example", "ü@ä.example"]
    assert engines.judged([("email", v) for v in addresses]) == [(v, None, v) for v in addresses]
    numbers = ["1234568", "351912000118", "123456789012345"]
    assert engines.judged([("phone", v) for v in numbers]) == [(v, None, v) for v in numbers]


def test_every_character_is_spelled_alike(engines: Engines) -> None:
    """Of each character that Unicode 14 knows and that may need care, within a word and at its end."""
    codes = [code for code in (*range(1, 0x600), *range(0x10A0, 0x1200), *range(0x13A0, 0x1400), *range(0x1680, 0x1690),
                               *range(0x17B0, 0x1820), *range(0x1C80, 0x1CC0), *range(0x1E00, 0x2200), *range(0x2C00, 0x2E60),
                               *range(0x3000, 0x3200), *range(0xA640, 0xA800), *range(0xFB00, 0xFB10), *range(0xFE00, 0x10000))
             if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]  # fmt: skip
    engines.judged([("ios_id", f"x{chr(code)}y{chr(code)}") for code in codes])
    digits = [code for code in range(0x20000) if chr(code).isdecimal()]
    numbers = [("phone", f"+3519120001{chr(code)}8") for code in digits]
    judged = engines.judged(numbers)
    assert [text for text, *_ in judged] == [f"3519120001{unicodedata.decimal(chr(code))}8" for code in digits]


MARKS = [chr(code) for code in range(0x300, 0x370)] + list("\u3099\u309a\u0653\u09be\u0dca")
ODD = (
    [chr(code) for code in range(0x2000, 0x2070)]
    + list("İıΣςσẞßﬁÅKǅ\u00a0\u00ad\ufeff\u3000\u115f ｶﾞＡ０＠﹣－")
    + ["\U000e0020"]
)
PIECES = [
    *"abcDE019 @.<>\\\"'()+-:,?/[]{}$%#",
    "mailto:",
    "tel:",
    "(0)",
    "00",
    "+49",
    "@x.de",
    "Optional(",
    "null",
    "{{",
    "}}",
]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_text_is_spelled_and_judged_alike(engines: Engines, seed: int) -> None:
    chance = random.Random(seed)
    texts = ["".join(chance.choice(chance.choice([PIECES, PIECES, ODD, MARKS])) for _ in range(chance.randrange(12)))
             for _ in range(100)]  # fmt: skip
    judged = engines.judged([(TYPES[kind], text) for text in texts for kind in KINDS])
    # What is spelled once stays as it is, and has nothing at its ends.
    again = [(TYPES[kind], text) for (text, *_), kind in zip(judged, KINDS * len(texts), strict=True)]
    for (kind, text), (more, *_) in zip(again, engines.judged(again), strict=True):
        if kind not in ("email", "phone"):  # those may come out of one wrapping, or prefix, after the other
            assert more == text == text.strip()


def test_plain_identifiers_are_told_from_those_that_need_care() -> None:
    """A set is plain where lower case is all that any of its values may need: then it is spelled as with care."""
    plain = rendered("duckdb", "identifiers_are_plain", "identifiers")
    portable = rendered("duckdb", "default__identifiers_are_plain", "identifiers")
    quick = rendered("duckdb", "spelled_identifier", "type", "value", plain="true", rules=RULES)
    care = rendered("duckdb", "spelled_identifier", "type", "value", rules=RULES)
    values = [
        "C1",
        "A@B.example",
        "a b",
        "é",
        "a\tb",
        "a\\b",
        "<a@b>",
        "'a@b'",
        '"a@b"',
        "mailto:a@b",
        "MAILTO:a@b",
        "\x7f",
        "+351",
        "0049",
        "x:y",
    ]
    with duckdb.connect() as connection:
        for value in values:
            text = json.dumps([{"type": "email", "value": value}], separators=(",", ":"), ensure_ascii=False)
            [(one, other)] = connection.execute(
                f"select {plain}, {portable} from (select ? as identifiers)", [text]
            ).fetchall()
            assert one == other == (value in ("C1", "A@B.example", "+351", "0049", "x:y")), value
            for kind in TYPES.values() if one else ():
                [(fast, slow)] = connection.execute(
                    f"select {quick}, {care} from (select ? as type, ? as value)", [kind, value]
                ).fetchall()
                assert fast == slow, (kind, value)
