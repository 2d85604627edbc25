"""Macros of the project as SQL, without dbt: for tests of one macro on a bare connection."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import jinja2

from tests.support.harness import PROJECT


class _Returned(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


def _return(value: Any) -> None:
    raise _Returned(value)


@cache
def _text() -> str:
    texts = [file.read_text() for file in sorted((PROJECT / "dbt_project" / "macros").rglob("*.sql"))]
    text = "".join(text for text in texts if "{% materialization" not in text and "{% test" not in text)
    return text + "".join(_as_macro(model, text) for model in ("3_profiles/moved_events",))


def _as_macro(model: str, macros: str) -> str:
    """A model's text as a macro `model_<name>`, without its config."""
    text = (PROJECT / "dbt_project" / "models" / f"{model}.sql").read_text()
    text = re.sub(r"{{ config\(.*?\) }}\n", "", text, flags=re.S)
    names = set(re.findall(r"{% macro (\w+)\(", macros))
    text = re.sub(r"(?<![\w.])(\w+)\(", lambda call: f"{'cdp.' * (call[1] in names)}{call[1]}(", text)
    return f"{{% macro model_{model.rpartition('/')[2]}() %}}{text}{{% endmacro %}}"


@cache
def _template() -> jinja2.Template:
    return jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(_text())


def rendered(
    engine: str,
    macro: str,
    *arguments: Any,
    rules: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    **named: Any,
) -> Any:
    """What the macro gives for the engine; `rules` stand for `vars: identity`, `context` adds to what dbt's context has."""

    def called(name: str) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            try:
                return getattr(module, name)(*given, **more)
            except _Returned as returned:
                return returned.value

        return call

    class Namespace:
        def __getattr__(self, name: str) -> Any:
            return called(name)

    class Adapter:
        commit = staticmethod(lambda: None)
        drop_relation = staticmethod(lambda _: None)
        get_relation = staticmethod(lambda *names: names)  # everything is built

        @staticmethod
        def quote(name: str) -> str:
            return f"`{name}`" if engine in ("spark", "databricks", "bigquery") else f'"{name}"'

        @staticmethod
        def dispatch(name: str, _package: str) -> Callable[..., Any]:
            of_engine = f"{engine}__{name}"
            return called(of_engine if hasattr(module, of_engine) else f"default__{name}")

    class Dbt:
        """Its own macros, as far as ours need them."""

        type_string = staticmethod(lambda: {"postgres": "text", "duckdb": "varchar"}.get(engine, "string"))
        type_timestamp = staticmethod(
            lambda: {"spark": "timestamp_ntz", "snowflake": "timestamp_ntz"}.get(engine, "timestamp")
        )
        date_trunc = staticmethod(
            lambda part, moment: (
                f"timestamp_trunc({moment}, {part})" if engine == "bigquery" else f"date_trunc('{part}', {moment})"
            )
        )
        type_bigint = staticmethod(lambda: "bigint")
        hash = staticmethod(lambda text: f"md5(cast({text} as {Dbt.type_string()}))")
        type_boolean = staticmethod(lambda: "boolean")
        position = staticmethod(
            lambda part, text: f"strpos({text}, {part})" if engine == "bigquery" else f"position({part} in {text})"
        )
        dateadd = staticmethod(
            lambda part, count, moment: (
                f"timestampadd({part}, {count}, {moment})"
                if engine == "snowflake"
                else f"{moment} + (interval '1 {part}' * ({count}))"
            )
        )

    module = _template().make_module(
        {
            "cdp": Namespace(),
            "adapter": Adapter,
            "return": _return,
            "dbt": Dbt,
            "var": lambda _: rules,
            "modules": {"re": re},
            **(context or {}),
        }
    )
    return called(macro)(*arguments, **named)
