"""Dagster's web server and daemon as one child process on loopback."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import click

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT, Home


def serve_dagster(home: Home, port: int) -> int:
    """Run `dagster dev` until it ends or Ctrl-C; returns its exit code. Raises NeedsAPerson where the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise NeedsAPerson(
                f"Port {port} on 127.0.0.1 is taken: end what uses it, or choose another with `cdp dev --port N`."
            ) from None
    click.echo(f"Dagster on http://127.0.0.1:{port} with the state of {home.root}; Ctrl-C ends it.")
    command = [
        str(Path(sys.executable).with_name("dagster")), "dev", "-w", str(PROJECT_ROOT / "workspace.yaml"),
        "-h", "127.0.0.1", "-p", str(port), "--log-level", "warning",
    ]  # fmt: skip
    # A shell that starts us in the background leaves SIGINT ignored, and Dagster would inherit that for SIGTERM, too.
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    child = subprocess.Popen(command, cwd=PROJECT_ROOT)

    def pass_on(number: int, _frame: object) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        child.wait()
        return 0
