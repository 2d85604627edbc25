"""What dbt is spared changes nothing of what its macros and loggers see."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from dbt.clients.jinja import MacroStack
from dbt.context import macros as dbt_macros
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager import EventManager
from dbt_common.events.functions import get_stdout_config
from dbt_common.events.logger import LineFormat
from dbt_common.events.types import Note

from cdp_orchestration.project import dbt_savings

# A macro of dbt's own that an adapter has, too; one that the project overrides; one that a package hides from others.
PACKAGES = {
    "dbt": ["type_string", "statement", "run_query"],
    "dbt_duckdb": ["type_string", "duckdb__x"],
    "cdp": ["statement", "occurred"],
    "other": ["occurred", "run_query"],
}
MACROS = {
    package: {
        name: SimpleNamespace(name=name, package_name=package, unique_id=f"macro.{package}.{name}") for name in names
    }
    for package, names in PACKAGES.items()
}


def built(build: Any, search_package: str, context: dict[str, Any]) -> Any:
    builder = dbt_macros.MacroNamespaceBuilder("cdp", search_package, MacroStack(), ["dbt", "dbt_duckdb"])
    return build(builder, MACROS, context)


@pytest.mark.parametrize("package", ["cdp", "other", "dbt"])
def test_every_node_sees_the_macros_that_dbt_shows_it(package: str) -> None:
    assert dbt_savings.save(), "this dbt is not the one that the savings were made for"
    build = dbt_macros.MacroNamespaceBuilder.build_namespace
    plain = build.__wrapped__  # type: ignore[attr-defined]
    context: dict[str, Any] = {"this": 1}
    own = built(plain, package, context)
    built(build, package, {})  # the first is dbt's own, which the later ones are made like
    ours = built(build, package, context)
    assert list(ours)
    assert set(ours) == set(own)
    for name, expected in own.items():
        if isinstance(expected, dict):
            assert isinstance(ours[name], dict), "a unit test puts what it overrides into it"
            assert {n: macro(e) for n, e in ours[name].items()} == {n: macro(e) for n, e in expected.items()}
        else:
            assert macro(ours[name]) == macro(expected)
            assert ours[name].context is context
            assert isinstance(ours[name], type(expected))
    for asked in (None, "dbt", "cdp", "other"):
        for name in ("type_string", "statement", "occurred", "run_query", "nowhere"):
            assert macro(ours.get_from_package(asked, name)) == macro(own.get_from_package(asked, name)), (asked, name)
    merged: dict[str, Any] = {}
    merged.update(ours)
    assert merged.keys() == set(own)


def macro(found: Any) -> str | None:
    return found and str(found.macro.unique_id)


@pytest.mark.parametrize("heard", [EventLevel.DEBUG, EventLevel.INFO])
def test_a_message_that_somebody_hears_is_written(heard: EventLevel) -> None:
    dbt_savings.save()
    manager, stream, called = EventManager(), io.StringIO(), []
    config = get_stdout_config(LineFormat.PlainText, False, heard, False)
    config.output_stream, config.name = stream, f"savings_{heard}"
    manager.add_logger(config)
    for level in (EventLevel.DEBUG, EventLevel.INFO, EventLevel.WARN):
        manager.fire_event(Note(msg=f"said as {level.value}"), level=level)
    assert ("said as debug" in stream.getvalue()) == (heard is EventLevel.DEBUG)
    assert "said as info" in stream.getvalue()
    assert "said as warn" in stream.getvalue()
    manager.add_callback(called.append)
    manager.fire_event(Note(msg="for who asked"), level=EventLevel.DEBUG)
    assert len(called) == 1
