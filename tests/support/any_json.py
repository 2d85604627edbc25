"""Records as strangers send them: messages of the Segment spec in which any JSON value may stand at any place, and any name.

As JSON text, not as Python values, so that numbers, escapes, blanks and repeated names are spelled as senders spell them.
The same seed makes the same records."""

import json
import random
from collections.abc import Callable

# Times as messages have them. A test that reads more spellings adds them here.
TIMES = [
    *(f"2026-10-{day:02d}T1{day % 10}:00:00Z" for day in range(1, 29)),
    *(f"2026-09-{day:02d} 08:00:{day:02d}.{day:03d}" for day in range(1, 29)),
    "2026-10-01T10:00:00+02:00", "2026-10-01T10:00:00.123456789Z", "2026-10-01", "2099-01-01T00:00:00Z", "2026-13-45T00:00:00Z",
    "yesterday", "", " ",
]  # fmt: skip
NUMBERS = [
    "0", "1", "-1", "7", "42", "4214", "4214.0", "4.214e3", "4.214E+3", "-0", "-0.0", "0.1", "1.50", "1E5", "1e21", "1e22", "1e37",
    "1e38", "1.5e-7", "1e400", "-1E400", "1e-400", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "18446744073709551616", "12345678901234567890", "90071992547409931234", "90071992547409931234.0", "0.30000000000000004",
    "1.7976931348623157e308", "5e-324", "100000000000000000000000000000000000000000.5", "1764150000", "1764150000123", "19.99",
    "9" * 60, "123456789012345.678",
]  # fmt: skip
TEXTS = [
    "", " ", "\t", "\u00a0", "*", "**", "C:\\", "\\", '"', '"quoted"', "'", "it's", "a.b", ".", "$", "$.x", "[0]", "[]", "{}", "[1]",
    '["x"]', '{"a":1}', '{"a":1,}', "[NaN]", '{"a\\u0000":1}', '"x"', "null", "true", "false", "NaN", "Infinity", "-", "4214", "4214.0",
    "1e3", "%", "_", "a,b", "|", "\u0000", "a\u0000b", "\\u0000", "\\\\u0000", "\u0001\u001f", "\u007f", "\u2028", "\ufffd", "\ufeff",
    "\u200b", "ä", "a\u0308", "Ä", "İ", "ſ", "日本", "😀", "\U0010ffff", "-- x", "/* x */", "; drop", "{{ x }}", "{% x %}", "#", "\n", "\r\n",
    "email", "userId", "batch", "type", "key", "value", "=1+1", "x" * 300, "ann@x.example", "Ann@X.example ", "bob@x.example",
    "+351 912 000 111", "351912000111", "gold", "Porto", "Order Completed", "Order Refunded", "Seen", "users",
]  # fmt: skip
NAMES = [
    "type", "messageId", "userId", "anonymousId", "groupId", "previousId", "event", "name", "category", "traits", "properties", "context",
    "timestamp", "originalTimestamp", "sentAt", "receivedAt", "batch", "email", "phone", "device", "id", "externalIds", "consent",
    "order_id", "total", "revenue", "value", "destination", "status", "Email", "EMAIL", "first_name", "age",
]  # fmt: skip


class Senders:
    def __init__(self, seed: int, times: list[str] | None = None) -> None:
        self.chance = random.Random(seed)
        self.times = times or TIMES

    def records(self, count: int) -> list[str]:
        return [self._record() for _ in range(count)]

    def _record(self) -> str:
        roll = self.chance.random()
        if roll < 0.03:
            return self.value()
        if roll < 0.15:
            return self._envelope()
        return self._message()

    def value(self, depth: int = 0) -> str:
        """Any JSON value."""
        roll = self.chance.random()
        if roll < 0.001:
            deep = self.chance.choice([50, 150, 199, 250, 2000])
            return "[" * deep + "]" * deep if self.chance.random() < 0.5 else '{"a":' * deep + "null" + "}" * deep
        if roll < 0.002:
            return "[" + ",".join([self.value(9)] * 1000) + "]"
        if depth > 4 or roll < 0.7:
            return self.chance.choice([self.text, self.text, self.text, self.number, self._constant])()
        if roll < 0.85:
            return self._spaced("[", [self.value(depth + 1) for _ in range(self.chance.randint(0, 4))], "]")
        return self.object([(self._name(), self.value(depth + 1)) for _ in range(self.chance.randint(0, 4))])

    def text(self) -> str:
        return self.quoted(self._plain())

    def number(self) -> str:
        return self.chance.choice(NUMBERS)

    def object(self, entries: list[tuple[str, str]]) -> str:
        """Of (name, JSON text)."""
        return self._spaced(
            "{", [f"{self.quoted(name)}{self._blank()}:{self._blank()}{value}" for name, value in entries], "}"
        )

    def quoted(self, text: str) -> str:
        spelled = json.dumps(text, ensure_ascii=self.chance.random() < 0.5)
        return spelled.replace("/", "\\/") if self.chance.random() < 0.1 else spelled

    def _constant(self) -> str:
        return self.chance.choice(["null", "true", "false"])

    def _plain(self) -> str:
        if self.chance.random() < 0.1:
            letters = [
                '"',
                "\\",
                "\u0000",
                "a",
                "A",
                " ",
                ".",
                "$",
                "[",
                "]",
                "{",
                "}",
                ":",
                ",",
                "é",
                "\n",
                "0",
                "u",
                "\u200d",
                "*",
            ]
            return "".join(self.chance.choices(letters, k=self.chance.randint(1, 12)))
        if self.chance.random() < 0.002:
            return self.chance.choice(TEXTS) * 3000
        return self.chance.choice(TEXTS)

    def _name(self) -> str:
        return self.chance.choice(NAMES) if self.chance.random() < 0.4 else self._plain()

    def _blank(self) -> str:
        return self.chance.choice(["", "", "", "", " ", "\t", " \r "])

    def _spaced(self, opens: str, parts: list[str], closes: str) -> str:
        return f"{opens}{self._blank()}" + f"{self._blank()},{self._blank()}".join(parts) + f"{self._blank()}{closes}"

    def _message(self) -> str:
        """A message as it should be, in which some places hold anything."""
        pick, quoted = self.chance.choice, self.quoted
        kind = pick(["identify", "identify", "track", "track", "track", "page", "screen", "group", "alias"])
        entries = [("type", quoted(kind))]
        if self.chance.random() < 0.7:
            entries.append(("messageId", quoted(f"m{self.chance.randrange(10**6)}")))
        if self.chance.random() < 0.8:
            entries.append(("timestamp", quoted(pick(self.times))))
        for name, chance in (("sentAt", 0.2), ("receivedAt", 0.2), ("originalTimestamp", 0.1)):
            if self.chance.random() < chance:
                entries.append((name, quoted(pick(self.times))))
        for name, letter, most in (("userId", "u", 400), ("anonymousId", "n", 800)):
            if self.chance.random() < 0.6:
                entries.append((name, quoted(f"{letter}{self.chance.randrange(most)}")))
        if kind == "track":
            entries.append(("event", quoted(pick(["Seen", "Order Completed", "Order Refunded"]))))
        if kind in ("page", "screen"):
            entries.append((pick(["name", "category"]), quoted("Home")))
        if kind == "alias":
            entries.append(("previousId", quoted(f"{pick('un')}{self.chance.randrange(400)}")))
        if kind == "group":
            entries.append(("groupId", quoted(f"g{self.chance.randrange(9)}")))
        if kind in ("identify", "group") or self.chance.random() < 0.1:
            entries.append(("traits", self._somewhere(self._traits)))
        if kind not in ("identify", "alias"):
            entries.append(("properties", self._somewhere(self._properties)))
        if self.chance.random() < 0.6:
            entries.append(("context", self._somewhere(self._context)))
        return self._disturbed(entries)

    def _traits(self) -> str:
        entries = [("email", self.quoted(f"p{self.chance.randrange(300)}@x.example")), ("first_name", self.text())]
        if self.chance.random() < 0.2:
            entries.append(("phone", self.quoted(f"+351 91 {self.chance.randrange(10**6):06d}")))
        return self._disturbed(entries)

    def _properties(self) -> str:
        return self._disturbed(
            [
                ("order_id", self.quoted(f"o{self.chance.randrange(200)}")),
                ("total", self.number()),
                ("destination", self.text()),
            ]
        )

    def _context(self) -> str:
        entries = []
        if self.chance.random() < 0.5:
            device = [("id", self.quoted(f"d{self.chance.randrange(300)}")), ("type", self.quoted(self.chance.choice(["ios", "Android"]))),
                      ("advertisingId", self.text()), ("adTrackingEnabled", "true")]  # fmt: skip
            entries.append(("device", self._somewhere(lambda: self._disturbed(device))))
        if self.chance.random() < 0.4:
            entries.append(("traits", self._somewhere(self._traits)))
        if self.chance.random() < 0.5:
            held = [self._somewhere(self._external) for _ in range(self.chance.randint(0, 3))]
            entries.append(("externalIds", self._somewhere(lambda: self._spaced("[", held, "]"))))
        if self.chance.random() < 0.5:
            purposes = [(self._name(), self._somewhere(self._constant)) for _ in range(self.chance.randint(0, 3))]
            preferences = self._somewhere(lambda: self.object(purposes))
            entries.append(("consent", self._somewhere(lambda: self.object([("categoryPreferences", preferences)]))))
        return self._disturbed(entries)

    def _external(self) -> str:
        entries = [
            ("id", self.quoted(f"e{self.chance.randrange(200)}")),
            ("type", self.quoted(self.chance.choice(["email", "loyalty"]))),
        ]
        return self._disturbed([*entries, ("collection", '"users"')])

    def _envelope(self) -> str:
        held = [self._somewhere(self._message) for _ in range(self.chance.randint(0, 4))]
        entries = [("batch", self._somewhere(lambda: self._spaced("[", held, "]")))]
        if self.chance.random() < 0.6:
            entries.append(("context", self._somewhere(self._context)))
        for name in ("sentAt", "receivedAt"):
            if self.chance.random() < 0.4:
                entries.append((name, self.quoted(self.chance.choice(self.times))))
        return self._disturbed(entries)

    def _somewhere(self, usual: Callable[[], str]) -> str:
        return self.value() if self.chance.random() < 0.08 else usual()

    def _disturbed(self, entries: list[tuple[str, str]]) -> str:
        """The object with, now and then, another value, a name twice, or one of its own."""
        told = [(name, self.value() if self.chance.random() < 0.04 else value) for name, value in entries]
        while self.chance.random() < 0.25:
            told.append((self._name(), self.value()))
        if self.chance.random() < 0.1:
            self.chance.shuffle(told)
        return self.object(told)
