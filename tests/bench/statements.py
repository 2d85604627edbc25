"""dbt in a process of its own that says where its CPU seconds went: in the warehouse's statements, node by node, or in dbt.

`python -m tests.bench.statements FILE ARGUMENTS…` runs dbt with the arguments and writes JSON to FILE:
{"cpu": seconds of the process from its first statement on, "wall": the same in wall seconds, "sql": seconds while a
statement of a model ran, "nodes": {name: seconds}, "megabytes": peak memory}. What dbt does before, imports and parsing, is
the same for every run. DuckDB runs in this very process, all its threads included, and what it writes when dbt closes the
file counts as a statement, too; the engine has nobody else to hide its work with.
"""

import json
import re
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper, LocalEnvironment
from dbt.cli.main import dbtRunner

NODE = re.compile(r'"node_id": "[^".]+\.[^".]+\.([^".]+)')


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_megabytes() -> float:
    """Of this program alone: what the kernel tells the parent would include the parent's own memory before the start."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def main(report: Path, arguments: list[str]) -> int:
    nodes: Counter[str] = Counter()
    began: list[tuple[float, float]] = []  # when the first statement was sent
    execute, close = DuckDBCursorWrapper.execute, LocalEnvironment.close

    def timed(self: DuckDBCursorWrapper, sql: str, bindings: Any = None) -> Any:
        started = cpu()
        if not began:
            began.append((started, time.monotonic()))
        try:
            return execute(self, sql, bindings)
        finally:
            named = NODE.search(sql)
            # A commit belongs to nobody by name: it is the models' work all the same. What comes before the first model,
            # dbt's look at the catalogue and the views over what landed, is not.
            name = named.group(1) if named else "(transactions)"
            if named or nodes:
                nodes[f"{name}, its edges" if f"_{name}__input as" in sql else name] += cpu() - started

    def timed_close(self: LocalEnvironment) -> None:
        started = cpu()
        close(self)
        nodes["(close)"] += cpu() - started

    DuckDBCursorWrapper.execute = timed
    LocalEnvironment.close = timed_close
    done = dbtRunner().invoke(arguments)
    [(cpu_began, wall_began)] = began
    spent = {
        "cpu": cpu() - cpu_began,
        "wall": time.monotonic() - wall_began,
        "sql": sum(nodes.values()),
        "nodes": nodes,
        "megabytes": peak_megabytes(),
    }
    report.write_text(json.dumps(spent))
    return 0 if done.success else 1


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
