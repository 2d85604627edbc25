"""Processes that start warm: forked from one that has imported Dagster and dbt, which takes six seconds each time.

All else is as in a process of its own: arguments, environment, folder, output, and how Python ends. `python` is for tests.
`python -m tests.support.warm` is what they are forked from, one for each worker: it reads requests (lines of JSON) and answers each
with the child's pid, and with its exit code once it has ended.
"""

import atexit
import functools
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PRELOADED = ["dagster", "dagster.components", "dagster_dbt", "dbt.cli.main", "dbt.adapters.duckdb", "pandas", "pyarrow.parquet",
             "requests", "rich.table"]  # fmt: skip


def python(
    arguments: list[str], folder: Path, environment: dict[str, str], timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """`python` with the arguments, of which the first are -m MODULE or -c CODE."""
    server = _server()
    with tempfile.TemporaryDirectory(prefix="cdp-warm-") as scratch:
        output, errors = Path(scratch, "output"), Path(scratch, "errors")
        request = {"arguments": arguments, "folder": str(folder), "environment": environment,
                   "output": str(output), "errors": str(errors)}  # fmt: skip
        assert server.stdin
        server.stdin.write(f"{json.dumps(request)}\n".encode())
        pid = _answer(server, 60)
        try:
            code = _answer(server, timeout)
        except subprocess.TimeoutExpired:
            os.kill(pid, signal.SIGKILL)
            _answer(server, 60)
            raise
        return subprocess.CompletedProcess(
            [sys.executable, *arguments], code, output.read_text(errors="replace"), errors.read_text(errors="replace")
        )


@functools.cache
def _server() -> "subprocess.Popen[bytes]":
    server = subprocess.Popen([sys.executable, "-m", "tests.support.warm"], cwd=Path(__file__).parents[2], bufsize=0,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    atexit.register(server.kill)
    return server


def _answer(server: "subprocess.Popen[bytes]", timeout: float) -> int:
    answers = server.stdout  # unbuffered: what is not read yet, select sees
    assert answers
    if not select.select([answers], [], [], timeout)[0]:
        raise subprocess.TimeoutExpired(server.args, timeout)
    return int(answers.readline())


def serve() -> dict[str, Any]:
    """Fork a child for each request, until there are no more. Returns in the child alone, with its request."""
    for name in PRELOADED:
        importlib.import_module(name)
    while line := sys.stdin.readline():
        request: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return request
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def become(request: dict[str, Any]) -> None:
    """Be the process that was asked for, to its end."""
    for target, descriptor, mode in (
        (os.devnull, 0, os.O_RDONLY),
        (request["output"], 1, os.O_WRONLY | os.O_CREAT),
        (request["errors"], 2, os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(target, mode)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    importlib.invalidate_caches()
    kind, what, *more = request["arguments"]
    sys.path[0:1] = [request["folder"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [kind, *more]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    become(serve())
