"""Processes that start warm: forked from one that has imported Dagster and dbt, which takes six seconds each time.

All else is as in a process of its own: arguments, environment, folder, output, and how Python ends. `python` runs one to its
end, `started` lets it run beside the test, which may kill it. `python -m tests.support.warm` is what they are forked from, one
for each worker: it reads requests (lines of JSON), and tells of each child, once it is there, and once it has ended.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, NoReturn

# What a pass imports of others, wherever the project that runs is: each of these brings many along.
PRELOADED = [
    "alembic.command", "dagster", "dagster._core.execution.execute_in_process", "dagster._core.instance.factory",
    "dagster._core.storage.event_log", "dagster._core.storage.root", "dagster._core.storage.runs", "dagster._core.storage.schedules",
    "dagster._daemon.controller", "dagster.components", "dagster.components.core.snapshot", "dagster_dbt", "dbt.adapters.duckdb",
    "dbt.adapters.duckdb.environments.local", "dbt.adapters.postgres", "dbt.cli.main", "dbt.parser.sql", "dbt.task.build", "dotenv",
    "fsspec", "pandas", "psycopg2.extras", "pyarrow.parquet", "requests", "rich.table", "sqlalchemy.dialects.sqlite",
]  # fmt: skip


KEPT = "CDP_TEST_PARSED"  # the folder of tests/support/parsed.py


class Process:
    """One that was started: `pid` is also its process group, with all that it starts."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.arguments = arguments
        self._scratch = tempfile.TemporaryDirectory(prefix="cdp-warm-")
        self._output, self._errors = (Path(self._scratch.name, name) for name in ("output", "errors"))
        request = {"arguments": arguments, "folder": str(folder), "environment": environment,
                   "output": str(self._output), "errors": str(self._errors)}  # fmt: skip
        self._server = _server()
        self.pid = self._server.start(request)

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._server.ended(self.pid, 0)

    def wait(self, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        code = self._server.ended(self.pid, timeout)
        if code is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.arguments, timeout)
        output, errors = (path.read_text(errors="replace") for path in (self._output, self._errors))
        return subprocess.CompletedProcess([sys.executable, *self.arguments], code, output, errors)

    def said(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def kill(self) -> None:
        """kill -9, and all that it started."""
        _killed(self.pid)
        self._server.ended(self.pid, 60)


def started(arguments: list[str], folder: Path, environment: dict[str, str]) -> Process:
    """`python` with the arguments, of which the first are -m MODULE or -c CODE."""
    return Process(arguments, folder, environment)


def python(
    arguments: list[str], folder: Path, environment: dict[str, str], timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    return started(arguments, folder, environment).wait(timeout)


class Server:
    """The client's side of what children are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "tests.support.warm"], cwd=Path(__file__).parents[2],
                                         bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        atexit.register(self.close)
        self._started: deque[int] = deque()
        self._running: set[int] = set()
        self._codes: dict[int, int] = {}

    def start(self, request: dict[str, Any]) -> int:
        assert self._process.stdin
        self._process.stdin.write(f"{json.dumps(request)}\n".encode())
        while not self._started:
            assert self._hears(60), "no process can be started"
        pid = self._started.popleft()
        self._running.add(pid)
        return pid

    def ended(self, pid: int, timeout: float) -> int | None:
        deadline = time.monotonic() + timeout
        while pid not in self._codes:
            if not self._hears(max(0.0, deadline - time.monotonic())):
                return None
        self._running.discard(pid)
        return self._codes[pid]

    def close(self) -> None:
        """Nothing outlives the tests, also where they are broken off."""
        for pid in self._running:
            _killed(pid)
        self._process.kill()

    def _hears(self, timeout: float) -> bool:
        answers = self._process.stdout  # unbuffered: what is not read yet, select sees
        assert answers
        if not select.select([answers], [], [], timeout)[0]:
            return False
        what, pid, *code = answers.readline().decode().split()
        if what == "started":
            self._started.append(int(pid))
        else:
            self._codes[int(pid)] = int(code[0])
        return True


def _killed(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.killpg(group, signal.SIGKILL)


@functools.cache
def _server() -> Server:
    return Server()


def serve() -> dict[str, Any]:
    """Fork a child for each request, until there are no more. Returns in the child alone, with its request."""
    for name in PRELOADED:
        with contextlib.suppress(ModuleNotFoundError):  # the Spark environment has less
            importlib.import_module(name)
    fill_caches()
    gc.collect()
    gc.freeze()  # no child looks through all of that again

    def tell(*words: object) -> None:
        os.write(1, f"{' '.join(map(str, words))}\n".encode())

    def reap(*_: object) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            tell("ended", pid, os.waitstatus_to_exitcode(status))

    signal.signal(signal.SIGCHLD, reap)
    while line := sys.stdin.readline():
        request: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)
            return request
        with contextlib.suppress(OSError):  # whoever is first: it is a group of its own before anybody hears of it
            os.setpgid(pid, pid)
        tell("started", pid)
    sys.exit()


def fill_caches() -> None:
    """What dbt works out once in every process: how its classes are read and checked, and where its own code is."""
    from dbt.config.profile import ProfileConfig
    from dbt.contracts.graph.manifest import Manifest
    from dbt.contracts.project import PackageConfig, Project, ProjectFlags
    from dbt_common.clients.jinja import template_cache

    inspect.stack()
    for contract in (PackageConfig, ProfileConfig, Project, ProjectFlags):
        contract.json_schema()
    for parse in Path(os.environ.get(KEPT, "/nowhere")).glob("*/partial_parse.msgpack"):
        for macro in Manifest.from_msgpack(parse.read_bytes()).macros.values():
            template_cache.get_node_template(macro)  # by the macro's text: another project's macro is another one


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
    code: object = 0
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    end(code)


def end(code: object) -> NoReturn:
    """As Python ends, but for taking its modules apart, which takes a second with so many of them."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    gc.collect()  # what is left alone and holds a file closes it
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(int(code or 0))


if __name__ == "__main__":
    become(serve())
