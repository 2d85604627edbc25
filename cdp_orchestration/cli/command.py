"""The command `cdp` itself: how its errors are printed, and where."""

import sys
from typing import Any

import click
from rich.console import Console

from cdp_orchestration.errors import CdpError, disk_full, is_disk_full
from cdp_orchestration.home import current_home

# Into a pipe or file, lines are as wide as tables want to be.
OUT = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
ERR = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


class Verbs(click.Group):
    """Errors meant for a person are printed as one message, without a stack trace; the exit code is 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CdpError as error:
            ERR.print(f"cdp: {error}")
            sys.exit(1)
        except BrokenPipeError:
            sys.exit(1)
        except Exception as error:
            if not is_disk_full(error):
                raise
            ERR.print(f"cdp: {disk_full(current_home().root)}")
            sys.exit(1)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Warehouse-native customer data platform: pull, build, check, deliver.

    State lives under CDP_HOME (default ./data). Set CDP_HOME=data/demo to look at the demo.
    """
