"""The verbs that build a warehouse beside the real one: at, audience-diff."""

import sys
from pathlib import Path

import click
from rich.console import Console

from cdp_orchestration.cli.command import OUT, main
from cdp_orchestration.cli.start import quiet_output, ready_home
from cdp_orchestration.cli.tables import show


@main.command()
@click.argument("time", metavar="TIME")
@click.argument("names", metavar="[AUDIENCE]...", nargs=-1)
@click.option("--through", type=int, metavar="SEQ", help="Read batches up to this one, whatever a build had read by then.")
@click.option("--keep", type=click.Path(path_type=Path), metavar="FOLDER", help="Leave the warehouse of then in a new folder.")
def at(time: str, names: tuple[str, ...], through: int | None, keep: Path | None) -> None:
    """Who was in an audience at a past time: `cdp at 2026-09-01 vips`. Without a name, the sizes of all.

    It builds what had landed by then into a warehouse beside the real one, by today's models, rules and overrides, and touches
    nothing else. --keep leaves that warehouse behind, with profiles, traits, consents, attributes and audiences as of then.
    """
    from cdp_orchestration.queries.at import at as answer

    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        show(answer(home, time, names, through, keep), Console(file=terminal, width=OUT.width, highlight=False))
