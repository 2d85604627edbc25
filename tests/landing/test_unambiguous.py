"""A record that lands is read alike by every engine."""

import json

import pytest

from cdp_orchestration.landing.records import json_record
from cdp_orchestration.unambiguous import DEEPEST


@pytest.mark.parametrize(
    ("came", "kept"),
    [
        ('{"a":1,"a":2}', '{"a":1}'),
        ('{"a":[{"b":1E5,"b":2}],"c":{"":null,"":1},"d":-0}', '{"a":[{"b":1E5}],"c":{"":null},"d":-0}'),
        ('{"\\u0061":1,"a":2}', '{"a":1}'),
        # Engines read U+FFFD for U+0000.
        ('{"\\u0000":1,"\\ufffd":2}', '{"\\u0000":1}'),
        # As it came, where no name is repeated.
        ('{"a" : 1.50,"A":2}', '{"a" : 1.50,"A":2}'),
        ('{ "a\\u0000": {"a": [] } }', '{ "a\\u0000": {"a": [] } }'),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_of_a_repeated_name_the_first_counts(came: str, kept: str) -> None:
    record = json_record(came)
    assert (record.payload, record.error) == (kept, None)


@pytest.mark.parametrize("opens", ["[", '{"a":'])
def test_what_is_nested_too_deeply_is_unreadable(opens: str) -> None:
    closes = "]" if opens == "[" else "}"
    assert json_record(opens * DEEPEST + "1" + closes * DEEPEST).error is None
    for levels in (DEEPEST + 1, 5000):
        told = json_record(opens * levels + "1" + closes * levels, "line 3").error
        assert told is not None
        assert told.startswith("line 3: not valid JSON: nested")
    # Brackets within a text nest nothing, and many arrays beside each other neither.
    assert json_record(json.dumps({"a": "[" * 1000, "b": '\\"[{' * 300, "c": [[]] * 1000})).error is None
