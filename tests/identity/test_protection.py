"""Whom an update names, as both engines work it out, held against the slow reference: the model's own SQL on a bare
connection. Whole builds with protected sources are in test_identity.py and test_identity_explained.py."""

import json
import random
import re
from collections.abc import Callable
from contextlib import closing
from typing import Any

import duckdb
import jinja2
import pytest

from cdp_orchestration.identity.protection import WORDS
from cdp_orchestration.identity.rules import identity_rules
from tests.conftest import connect
from tests.identity.test_identity import BLOCKED, Identifier, arrived, generated, in_batches
from tests.support.harness import PROJECT
from tests.support.macros import rendered
from tests.support.reference_identity import Message, resolve

MODELS = PROJECT / "dbt_project/models/2_identity"
ATTACHMENTS = "steps/5_attached/attachments.sql"
FUNCTIONS = PROJECT / "dbt_project/macros/dialect/postgres_functions.sql"
SOURCES = {"web": {"protection": "update_only"}, "email": {"protection": "read_only"}, "inbox": {"tier": "sdk"}}
PROTECTION = {"web": "update_only", "email": "read_only"}
Pair = tuple[Identifier, Identifier]


def variable(name: str, default: Any = None) -> Any:
    return {"identity": identity_rules(), "sources": SOURCES}.get(name, default)


def macro(engine: str, name: str) -> Callable[..., Any]:
    return lambda *given, **named: rendered(engine, name, *given, context={"var": variable}, **named)


def model(engine: str, file: str, after: int = -1) -> str:
    """The SQL of a model of 2_identity, over relations that are called as its models are."""
    names = ["sources_under", "protected_sources", "is_under", "is_protected", "usable_members", "identifier_priority"]
    return jinja2.Template((MODELS / file).read_text()).render(
        **{name: macro(engine, name) for name in names}, config=lambda **_: "", ref=lambda name: name,
        after_arrival=lambda: after, is_incremental=lambda: False,
    )  # fmt: skip


def filled(
    engine: str, execute: Callable[[str], Any], messages: list[Message], cut: list[Pair], force: list[Pair]
) -> dict[Identifier, int]:
    """The relations that the model reads, as a build of these messages leaves them. Returns the keys of the identifiers."""
    people = resolve(messages, frozenset({"null"}), cut, force=force, protection=PROTECTION)
    known = sorted({i for m in messages for i in m.identifiers} | {i for pair in force for i in pair})

    def table(name: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
        execute(f"drop table if exists {name}")
        execute(f"create temporary table {name} ({columns})")
        if not rows:
            return
        lines = (", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in row) for row in rows)
        execute(f"insert into {name} values {', '.join(f'({line})' for line in lines)}")

    table("known", "kind text, value text", known)
    key = macro(engine, "identifier_key")("kind", "value")
    keys = {(kind, value): number for kind, value, number in execute(f"select kind, value, {key} from known")}
    said = [(place, m.message_id, json.dumps([{"type": t, "value": v} for t, v in m.identifiers], separators=(",", ":")), m.source)
            for place, m in enumerate(messages)]  # fmt: skip
    table("messages", "arrival bigint, message_id text, identifiers text, source text", said)
    table("kept", "arrival bigint, identifier bigint", [(place, keys[i]) for i, place in people.placed.items()])
    decided = [("cut", *a, keys.get(a, 0), *b, keys.get(b, 0)) for a, b in cut]
    table("overrides", "action text, a_type text, a_value text, a_identifier bigint, b_type text, b_value text, "
                       "b_identifier bigint", decided)  # fmt: skip
    groups = {i: n for n, pair in enumerate(force) for i in pair}
    table("forced", "identifier bigint, identifier_type text, identifier_value text, handle bigint",
          [(keys[i], *i, -n - 1) for i, n in groups.items()])  # fmt: skip
    # What ordinary messages met is none of this.
    table("met_identifiers", "identifier bigint, identifier_type text, identifier_value text, blocking_rule text, "
                             "first_arrival bigint, is_handle boolean", [])  # fmt: skip
    table("dropped_links", "arrival bigint, identifier bigint, rule text", [])
    return keys


def decisions(messages: list[Message]) -> tuple[list[Pair], list[Pair]]:
    """Some cuts, and pairs forced together; no identifier is in both, or in two forced pairs."""
    chance = random.Random(5)
    cut: list[Pair] = []
    force: list[Pair] = []
    used: set[Identifier] = set()
    for message in messages:
        pair = tuple(i for i in message.identifiers if i != BLOCKED)[:2]
        if len(pair) == 2 and not used & {*pair} and chance.random() < 0.3:
            used |= {*pair}
            (cut if chance.random() < 0.5 else force).append((pair[0], pair[1]))
    return cut, force


def check(engine: str, execute: Callable[[str], list[tuple[Any, ...]]]) -> None:
    messages = arrived(in_batches(generated(20, "q", ["inbox", "web", "email"]).values()))
    cut, force = decisions(messages)
    keys = filled(engine, execute, messages, cut, force)
    people = resolve(messages, frozenset({"null"}), cut, force=force, protection=PROTECTION)
    expected = {
        place: None if people.events[m.message_id] is None else people.owner[people.events[m.message_id]]  # type: ignore[index]
        for place, m in enumerate(messages)
        if m.source == "web"
    }
    owners = {key: people.owner.get(identifier) for identifier, key in keys.items()}
    found = dict(execute(model(engine, ATTACHMENTS)))
    assert {place: key and owners[key] for place, key in found.items()} == expected
    assert len({*expected.values()}) > 20
    assert None in expected.values()
    # What arrived later changes nothing: the second half alone says what it said among all.
    half = len(messages) // 2
    later = {place: key for place, key in found.items() if place > half}
    assert dict(execute(model(engine, ATTACHMENTS, half))) == later

    execute(f"create temporary table attachments as {model(engine, ATTACHMENTS)}")
    refused = {(kind, value, rule): message for message, kind, value, rule in execute(model(engine, "refusals.sql"))}
    assert refused == {
        (*identifier, rule): message for (identifier, rule), message in people.refusals.items() if rule in WORDS
    }
    assert {rule for *_, rule in refused} == {*WORDS}


def test_duckdb_finds_whom_an_update_names() -> None:
    with duckdb.connect() as connection:
        check("duckdb", lambda sql: connection.execute(sql).fetchall())


def test_postgres_finds_whom_an_update_names(postgres: dict[str, str]) -> None:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        body = re.search(r"postgres_functions\(\) -%}(.*){%- endmacro", FUNCTIONS.read_text(), re.S)
        assert body
        cursor.execute("create schema if not exists landing")
        cursor.execute(body.group(1))

        def execute(sql: str) -> list[tuple[Any, ...]]:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

        check("postgres", execute)


@pytest.mark.parametrize(("sources", "key"), [
    ({}, "m.identifiers"),
    ({"web": {"tier": "sdk"}}, "m.identifiers"),
])  # fmt: skip
def test_without_protection_nothing_is_asked(sources: dict[str, Any], key: str) -> None:
    context = {"var": lambda name, default=None: sources if name == "sources" else default}
    assert rendered("duckdb", "owner_key", "m", context=context).strip() == key


def test_an_ordinary_message_is_looked_up_by_its_set() -> None:
    key = macro("duckdb", "owner_key")("messages")
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select {key} from (values ('inbox', 7, '[a]'), ('web', 8, '[a]'), ('email', 9, '[a]')) "
            "as messages(source, arrival, identifiers) order by arrival"
        ).fetchall()
    assert found == [("[a]",), ("update_only 8",), (None,)]


def test_whoever_asks_whose_a_message_is_asks_by_its_key() -> None:
    """Joined on the identifiers alone, a protected message would belong to whom an ordinary one with the same belongs."""
    texts = {file: file.read_text() for file in (PROJECT / "dbt_project").rglob("*.sql")}
    asking = {file: text for file, text in texts.items() if re.search(r"ref\(['\"]set_owners['\"]\)", text)}
    names = {
        "events.sql",
        "trait_rules.sql",
        "devices.sql",
        "consents.sql",
        "evidence.sql",
        "health.sql",
        "undeclared.sql",
    }
    assert names <= {file.name for file in asking}
    # What is read once keeps the key that it was read with.
    kept = {"trait_rules.sql": "trait_writes.sql", "devices.sql": "device_sightings.sql"}
    for file, text in asking.items():
        if file.name in kept:
            assert ".owner_key" in text, file
            [text] = [each for other, each in texts.items() if other.name == kept[file.name]]
        assert "owner_key(" in text, file
