"""The one place that turns our errors into Dagster's failures."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import dagster as dg

from cdp_orchestration.errors import CdpError, TryAgain, disk_full, is_disk_full
from cdp_orchestration.home import current_home

log = logging.getLogger("cdp")

# One bounded retry per failure edge: a connector has retried by itself before it gives up.
RETRY = dg.RetryPolicy(max_retries=1, delay=5)


@contextmanager
def as_dagster_failure(what: str) -> Iterator[None]:
    """An error becomes a dg.Failure whose text begins with `what`; only a passing fault may be retried.

    What nobody expected (a driver's or library's own error) is named by its type and text, and its trace is in
    CDP_HOME/logs/cdp.log: trying it again without knowing what it is could only hide it.
    """
    try:
        yield
    except CdpError as error:
        text = named(what, str(error))
        log.error(text)
        raise dg.Failure(
            description=text, allow_retries=isinstance(error, TryAgain), metadata={"remedy": str(error)}
        ) from error
    except (dg.Failure, dg.RetryRequested):
        raise
    except Exception as error:
        text = f"{what}: {disk_full(current_home().root)}" if is_disk_full(error) else unexpected(what, error)
        log.error(text)
        raise dg.Failure(description=text, allow_retries=False) from error


def named(what: str, text: str) -> str:
    """`text`, beginning with what it is about, unless it says so by itself."""
    return text if text.startswith(f"{what}:") or text.startswith(f"{what} ") else f"{what}: {text}"


def unexpected(what: str, error: BaseException) -> str:
    """An error that is not ours in one line; its trace goes to the log."""
    trace = "".join(traceback.format_exception(error)).rstrip()
    with suppress(OSError):  # a full disk may be the very error
        log = current_home().root / "logs" / "cdp.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {what}:\n{trace}\n")
    text = " ".join(str(error).split()) or "it says nothing"
    return f"{what}: {type(error).__name__}: {text} (unexpected; its trace is in logs/cdp.log)"
