"""The one place that turns our errors into Dagster's words."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from cdp_orchestration.errors import CdpError, TryAgain
from cdp_orchestration.progress import say

# One bounded retry per failure edge: a connector has retried by itself before it gives up.
RETRY = dg.RetryPolicy(max_retries=1, delay=5)


@contextmanager
def in_dagsters_words(what: str) -> Iterator[None]:
    """A CdpError becomes a dg.Failure with its message; only a passing fault may be retried."""
    try:
        yield
    except CdpError as error:
        say(f"{what}: {error}")
        raise dg.Failure(
            description=str(error), allow_retries=isinstance(error, TryAgain), metadata={"remedy": str(error)}
        ) from error
