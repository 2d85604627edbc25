"""A dbt command in a process that is warm: forked from this one once dbt is imported.

As a command of its own dbt imports for a second what this process has imported already. The process is forked before anything
opens a database, takes a lock or starts a thread, waits for its command, and ends with its parent if none comes.
"""

import ctypes
import importlib
import json
import multiprocessing.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from cdp_orchestration.project.dbt_savings import save
from cdp_orchestration.warehouse import target

PRELOADED = ["dbt.cli.main", "dbt.task.build"]
ADAPTERS = {"duckdb": "dbt.adapters.duckdb", "postgres": "dbt.adapters.postgres"}


_OURS: set[socket.socket] = set()  # our ends of the requests of processes that wait


class WarmDbt:
    """A forked process that becomes one dbt command; then what dagster-dbt expects of a subprocess.Popen."""

    def __init__(self) -> None:
        for name in [*PRELOADED, *filter(None, [ADAPTERS.get(target())])]:
            importlib.import_module(name)
        save()
        output, inlet = os.pipe()
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            for end in (ours, *_OURS):  # held here, too, another one's end would never close for that one
                end.close()
            os.close(output)
            _become(theirs, inlet)
        theirs.close()
        os.close(inlet)
        self._request = ours
        _OURS.add(ours)
        self.args: Sequence[str] = []
        self.returncode: int | None = None
        self.stdout: BinaryIO = os.fdopen(output, "rb")

    def start(
        self, args: Sequence[str], env: Mapping[str, str], cwd: Path, parsed: Path | None = None, **_: Any
    ) -> "WarmDbt":
        """`args` as of a command line, dbt's name first. `parsed`: the parse (partial_parse.msgpack) that it works by, as it
        is, whatever connection it was made with; without one dbt looks for its own."""
        self.args = list(args)
        request = {
            "arguments": self.args[1:],
            "environment": dict(env),
            "folder": str(cwd),
            "parsed": str(parsed or ""),
        }
        self._request.sendall(f"{json.dumps(request)}\n".encode())
        self._hang_up()
        return self

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is None:
                _, status = os.waitpid(self.pid, 0)
                self.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
            else:
                time.sleep(0.05)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def close(self) -> None:
        """Let it go: one that never got a command ends by itself."""
        self._hang_up()
        if not self.args:
            self.stdout.close()
            self.wait()

    def _hang_up(self) -> None:
        _OURS.discard(self._request)
        self._request.close()


@contextmanager
def dbt_processes(count: int) -> Iterator[list[WarmDbt]]:
    """So many of them; those that got no command end with the block."""
    processes = [WarmDbt() for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.close()


def _become(requests: socket.socket, inlet: int) -> NoReturn:
    """Wait for a command and be it to its end. Never returns into the code of the parent."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with requests, requests.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            os._exit(0)
        request = json.loads(line)
        os.dup2(inlet, 1)
        os.dup2(inlet, 2)
        os.close(inlet)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        _named("dbt build")
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.argv = ["dbt", *request["arguments"]]
        code = _by_parse(request) if request["parsed"] else _as_command(request)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        multiprocessing.util._exit_function()  # type: ignore[attr-defined]  # frees dbt's semaphores
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                code = code or 1
        os._exit(code)


def _as_command(request: dict[str, Any]) -> int:
    from dbt.cli.main import cli

    cli(request["arguments"], prog_name="dbt")
    return 0


def _by_parse(request: dict[str, Any]) -> int:
    """Relations are in the database of the connection in use, not in that of the connection that the parse was made with."""
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(Path(request["parsed"]).read_bytes())
    database = request["environment"].get("PGDATABASE") if target() == "postgres" else None
    if database:
        for node in [*manifest.nodes.values(), *manifest.sources.values()]:
            if node.database and node.relation_name:
                node.relation_name = node.relation_name.replace(f'"{node.database}".', f'"{database}".', 1)
            node.database = database
    manifest.build_flat_graph()
    done = dbtRunner(manifest=manifest).invoke(request["arguments"])
    if done.exception:
        print(done.exception)
    return int(not done.success)


def _named(title: str) -> None:
    """What `top` and `ps -o comm` call this process, on Linux."""
    with suppress(Exception):
        ctypes.CDLL(None).prctl(15, title.encode()[:15])  # PR_SET_NAME
