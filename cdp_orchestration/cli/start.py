"""How every verb starts: the home is ready, what libraries print goes to a file, and what our modules log to the terminal."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import yaml
from dotenv import load_dotenv

from cdp_orchestration.home import PROJECT_ROOT, Home, current_home
from cdp_orchestration.warehouse import Warehouse


def ready_home(to_build: bool = False) -> Home:
    """The home with its folders, Dagster's limits in place, and the environment of every child process set.

    Before anything is written: raises NeedsAPerson where a setting of the warehouse of CDP_TARGET is missing, and, for a verb
    that is going to build, NeedsAPerson or TryAgain where it cannot be reached or written to.
    """
    load_dotenv(PROJECT_ROOT / ".env")
    home = current_home()
    warehouse = Warehouse(home)
    warehouse.configured()
    if to_build:
        warehouse.check()
    for folder in (home.root, home.inbox, home.landing, home.deliveries, home.drop, home.dagster):
        folder.mkdir(parents=True, exist_ok=True)
    # Dagster reads limits from its own home only. A person may have added storage or alerting there: keep their file
    # unless it is the one we wrote.
    ours, theirs = PROJECT_ROOT / "dagster.yaml", home.dagster / "dagster.yaml"
    if not theirs.exists() or theirs.read_text() != ours.read_text():
        if theirs.exists() and not (home.dagster / ".cdp_wrote_dagster_yaml").exists():
            yaml.safe_load(theirs.read_text())
        else:
            shutil.copyfile(ours, theirs)
            (home.dagster / ".cdp_wrote_dagster_yaml").touch()
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    bin_folder = str(Path(sys.executable).parent)
    if bin_folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}"
    return home


@contextmanager
def quiet_output(log: Path) -> Iterator[Any]:
    """Send what libraries print to a log file; yields a stream that still reaches the terminal."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept_out, kept_err = os.dup(1), os.dup(2)
    with open(log, "a") as file, os.fdopen(os.dup(kept_out), "w", buffering=1) as terminal:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield terminal
        finally:
            with suppress(ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os.dup2(kept_out, 1)
            os.dup2(kept_err, 2)
            os.close(kept_out)
            os.close(kept_err)


@contextmanager
def logging_to(stream: TextIO, indent: str = "") -> Iterator[None]:
    """While open, a line that our modules log is a line of the stream."""
    lines = _Lines(stream)
    lines.setFormatter(logging.Formatter(f"{indent}%(message)s"))
    logger = logging.getLogger("cdp")
    logger.addHandler(lines)
    try:
        yield
    finally:
        logger.removeHandler(lines)


class _Lines(logging.StreamHandler):
    """Raises where the stream cannot be written to (a closed pipe), as a verb's own printing does."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise
