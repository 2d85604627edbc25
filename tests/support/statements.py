"""Every statement that a build would send to a warehouse that is not there.

dbt itself runs, with the real adapter, the project's own models, hooks, tests and materializations; only what would go over
the network is replaced: a statement is written down instead of sent, and questions are answered from what a build would find.
Three builds are taken: the first one, into an empty warehouse; a later one, where every relation is there and incremental
models add to it; and one that resolves identity anew over people who are there.

    python -m tests.support.statements TARGET PROJECT HOME [dbt's own options for its builds]

writes HOME/statements.jsonl: a line {build, node, sql} a statement.
"""

import datetime
import importlib
import json
import random
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import agate
import sqlglot
from dbt.adapters.base.impl import BaseAdapter
from dbt.adapters.contracts.connection import AdapterResponse, ConnectionState
from dbt.cli.main import dbtRunner
from dbt_common.clients.agate_helper import table_from_data_flat
from dbt_common.events.contextvars import get_node_info

PLUGINS = {  # adapter and connection manager, as each plugin calls them
    "snowflake": ("SnowflakeAdapter", "SnowflakeConnectionManager"),
    "bigquery": ("BigQueryAdapter", "BigQueryConnectionManager"),
    "databricks": ("DatabricksAdapter", "DatabricksConnectionManager"),
}
ENVIRONMENT = {
    "SNOWFLAKE_ACCOUNT": "nowhere", "SNOWFLAKE_USER": "u", "SNOWFLAKE_PASSWORD": "p", "SNOWFLAKE_ROLE": "r",
    "SNOWFLAKE_WAREHOUSE": "w", "SNOWFLAKE_DATABASE": "cdp", "GOOGLE_CLOUD_PROJECT": "cdp", "BIGQUERY_LOCATION": "EU",
    "DATABRICKS_HOST": "nowhere.invalid", "DATABRICKS_HTTP_PATH": "/sql/1", "DATABRICKS_TOKEN": "t",
    "DATABRICKS_CATALOG": "cdp",
}  # fmt: skip
# Answers by the name of the column that is asked for; numbers that drive a loop are made up until it ends.
ANSWERS: dict[str, Any] = {
    "failures": 0, "should_warn": False, "should_error": False, "as_of": datetime.datetime(2020, 1, 1),
    "rules_fingerprint": "", "signature": "", "after_arrival": 0, "resolution_no": 1,
    "after_batch_seq": 0, "through_batch_seq": 1,
}  # fmt: skip


class Handle:
    """Stands for an open connection. What a build asks of one beyond this would be a way around the record."""

    dbr_version = (16, 4)
    session_id = "none"

    def close(self) -> None: ...
    def cancel(self) -> None: ...
    def rollback(self) -> None: ...


class Recorder:
    def __init__(self, target: str, file: Path) -> None:
        self.target, self.file = target, open(file, "w")  # noqa: SIM115
        self.build = ""
        self.relations: list[Any] = []
        self.nodes: dict[str, Any] = {}
        self.asked: dict[str, int] = {}

    def record(self, sql: str) -> None:
        node = (get_node_info() or {}).get("unique_id") or "build"
        print(json.dumps({"build": self.build, "node": node, "sql": sql}), file=self.file, flush=True)

    def answer(self, sql: str) -> agate.Table:
        """One row: what a query of a build finds."""
        try:
            names = sqlglot.parse(sql, read=self.target)[-1].named_selects  # type: ignore[union-attr]
        except (sqlglot.ParseError, sqlglot.TokenError, AttributeError):
            names = []
        names = [name or f"column_{place}" for place, name in enumerate(names)] or ["column_0"]
        node = (get_node_info() or {}).get("unique_id") or ""
        count = self.asked[node] = self.asked.get(node, 0) + 1
        # A loop to a fixpoint sees both answers and comes to its end.
        number = 0 if count > 24 else random.Random(f"{node}{count}").randint(0, 1)
        values = [1 if name.lower().startswith("has_") else ANSWERS.get(name.lower(), number) for name in names]
        return table_from_data_flat([dict(zip(names, values, strict=True))], names)

    def execute(self, _: Any, sql: str, *args: Any, fetch: bool = False, **more: Any) -> tuple[Any, agate.Table]:
        self.record(sql)
        return AdapterResponse("OK"), self.answer(sql) if fetch else agate.Table([])

    def add_query(self, _: Any, sql: str, *args: Any, **more: Any) -> tuple[Any, Any]:
        self.record(sql)
        return None, None

    def columns_of(self, adapter: Any, relation: Any) -> list[Any]:
        node = self.nodes.get(relation.identifier.lower().split("__dbt_tmp")[0])
        names = list(node.columns) if node and node.columns else ["profile_id", "message_id"]
        return [adapter.Column(name, "STRING") for name in names]

    def loaded(self, *_: Any, column_override: dict[str, str] | None = None, **more: Any) -> None:
        """A seed that goes through an API: its types as a statement."""
        for kind in sorted(set((column_override or {}).values())):
            self.record(f"select cast(null as {kind})")


def offline(*_: Any, **__: Any) -> Any:
    raise OSError("a build that is only written down has no network")


def main(target: str, project: Path, home: Path, options: list[str]) -> int:
    recorder = Recorder(target, home / "statements.jsonl")
    module = importlib.import_module(f"dbt.adapters.{target}")
    adapter, connections = (getattr(importlib.import_module(f"{module.__name__}.{part}"), name)
                            for part, name in zip(("impl", "connections"), PLUGINS[target], strict=True))  # fmt: skip

    def opened(_: Any, connection: Any) -> Any:
        connection.state, connection.handle = ConnectionState.OPEN, Handle()
        return connection

    replaced: dict[tuple[type, str], Callable[..., Any] | classmethod[Any, Any, Any]] = {
        (connections, "open"): classmethod(opened),
        (connections, "execute"): recorder.execute,
        (connections, "add_query"): recorder.add_query,
        (adapter, "list_relations_without_caching"): lambda self, schema: [
            relation for relation in recorder.relations if relation.schema.lower() == schema.schema.lower()
        ],
        (adapter, "list_schemas"): lambda self, database: [],
        (adapter, "check_schema_exists"): lambda self, *names: False,
        (adapter, "get_columns_in_relation"): recorder.columns_of,
        (adapter, "get_column_schema_from_query"): lambda self, sql: recorder.record(sql) or [],
    }
    if target == "bigquery":  # what it does by API, without SQL
        replaced |= {
            (adapter, "drop_relation"): lambda self, relation: self.cache_dropped(relation),
            (adapter, "load_dataframe"): recorder.loaded,
            (adapter, "is_replaceable"): lambda self, *names: True,
            (adapter, "get_relation"): lambda self, *names, **named: BaseAdapter.get_relation(self, *names, **named),
        }
    if target == "databricks":  # what it reads out of `describe`: nothing changed
        replaced[adapter, "get_relation_config"] = lambda self, relation: self.get_config_from_model(
            recorder.nodes[relation.identifier.lower()]
        )
        replaced[adapter, "_set_relation_information"] = lambda self, relation: relation
    for (owner, name), by in replaced.items():
        function = by if isinstance(by, classmethod) else _method(by, getattr(owner, name, None))
        mock.patch.object(owner, name, function, create=True).start()
    mock.patch.object(socket.socket, "connect", offline).start()
    mock.patch.object(socket, "getaddrinfo", offline).start()

    folders = ["--project-dir", str(project), "--profiles-dir", str(project / "profiles"), "--target-path", str(home / "dbt"),
               "--log-path", str(home / "dbt"), "--target", target, "--threads", "1", "--quiet"]  # fmt: skip
    parsed = dbtRunner().invoke(["parse", "--no-partial-parse", *folders])
    if not parsed.success:
        print(parsed.exception, file=sys.stderr)
        return 1
    manifest: Any = parsed.result
    for build in ("first", "later", "anew"):
        recorder.build, recorder.asked = build, {}
        ANSWERS["after_arrival"] = -1 if build == "anew" else 0
        chosen = ["--select", "path:dbt_project/models/2_identity"] if build == "anew" and not options else options
        relations = [_relation(adapter, node, "table") for node in manifest.sources.values()]
        for node in manifest.nodes.values():
            if node.resource_type in ("model", "seed"):
                recorder.nodes[node.alias.lower()] = node
                if build != "first":
                    kind = "view" if node.config.materialized == "view" else "table"
                    relations.append(_relation(adapter, node, kind))
        recorder.relations = relations
        done = dbtRunner(manifest=manifest).invoke(["build", "--exclude-resource-type", "unit_test", *chosen, *folders])
        for result in getattr(done.result, "results", None) or []:
            if result.status not in ("success", "pass"):
                print(f"{build}: {result.node.unique_id}: {result.message}", file=sys.stderr)
        if not done.success:
            print(done.exception or "", file=sys.stderr)
            return 1
    return 0


def _method(function: Callable[..., Any], replaced: Any) -> Callable[..., Any]:
    """As a method, with the marks by which the adapter offers it to macros."""

    def method(*args: Any, **named: Any) -> Any:
        return function(*args, **named)

    for mark in ("_is_available_", "_parse_replacement_"):
        if hasattr(replaced, mark):
            setattr(method, mark, getattr(replaced, mark))
    return method


def _relation(adapter: Any, node: Any, kind: str) -> Any:
    """A relation of the warehouse, as the engine lists it."""
    names = [node.database, node.schema, getattr(node, "identifier", None) or node.alias]
    if adapter.type() == "snowflake":
        names = [name.upper() for name in names]
    more = {"metadata": {"Provider": "delta"}} if adapter.type() == "databricks" else {}
    return adapter.Relation.create(*names, type=kind, **more)


if __name__ == "__main__":
    import os

    os.environ.update(
        ENVIRONMENT | {"CDP_TARGET": sys.argv[1], "CDP_HOME": sys.argv[3], "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    )
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
