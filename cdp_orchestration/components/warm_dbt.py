"""dbt in a process that is warm: forked from this one once dbt is imported, which Dagster's dbt integration needs anyway.

A pass starts dbt once. As a command of its own it imports for a second what this process has imported already. The process is
forked before anything opens a database, takes a lock or starts a thread, waits for its arguments, and ends with its parent if
none come.
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
from types import SimpleNamespace
from typing import Any, BinaryIO, NoReturn

from dagster_dbt.core import dbt_cli_invocation

from cdp_orchestration.warehouse import target

PRELOADED = ["dbt.cli.main", "dbt.task.build"]
ADAPTERS = {"duckdb": "dbt.adapters.duckdb", "postgres": "dbt.adapters.postgres"}


class WarmDbt:
    """A forked process that becomes one dbt command; then what dagster-dbt expects of a subprocess.Popen."""

    def __init__(self) -> None:
        for name in [*PRELOADED, *filter(None, [ADAPTERS.get(target())])]:
            importlib.import_module(name)
        output, inlet = os.pipe()
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            os.close(output)
            _become(theirs, inlet)
        theirs.close()
        os.close(inlet)
        self._request = ours
        self.args: Sequence[str] = []
        self.returncode: int | None = None
        self.stdout: BinaryIO = os.fdopen(output, "rb")

    def start(self, args: Sequence[str], env: Mapping[str, str], cwd: Path, **_: Any) -> "WarmDbt":
        self.args = list(args)
        request = {"arguments": self.args[1:], "environment": dict(env), "folder": str(cwd)}
        self._request.sendall(f"{json.dumps(request)}\n".encode())
        self._request.close()
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
        self._request.close()
        if not self.args:
            self.stdout.close()
            self.wait()


_ready: WarmDbt | None = None


@contextmanager
def warm_dbt() -> Iterator[None]:
    """While open, the next dbt command of this process runs in a process that is warm."""
    global _ready
    process = _ready = WarmDbt()
    try:
        yield
    finally:
        _ready = None
        process.close()


@contextmanager
def dbt_is_warm() -> Iterator[None]:
    """While open, what dagster-dbt starts as a subprocess runs in the warm process, if there is one to take."""
    global _ready
    process, _ready = _ready, None
    if process is None:
        yield
        return
    # dagster-dbt has no place to say how dbt is started; its module starts it through this name and no other.
    cold = dbt_cli_invocation.subprocess
    dbt_cli_invocation.subprocess = SimpleNamespace(Popen=process.start, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT)  # type: ignore[assignment]
    try:
        yield
    finally:
        dbt_cli_invocation.subprocess = cold


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
        from dbt.cli.main import cli

        sys.argv = ["dbt", *request["arguments"]]
        cli(request["arguments"], prog_name="dbt")
        code = 0
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


def _named(title: str) -> None:
    """What `top` and `ps -o comm` call this process, on Linux."""
    with suppress(Exception):
        ctypes.CDLL(None).prctl(15, title.encode()[:15])  # PR_SET_NAME
