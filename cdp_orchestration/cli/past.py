"""The verbs that build a warehouse beside the real one: at, audience-diff."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from cdp_orchestration.cli.command import ERR, OUT, main
from cdp_orchestration.cli.start import quiet_output, ready_home
from cdp_orchestration.cli.tables import as_json, show
from cdp_orchestration.queries.answers import Answer

FORMAT = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it.")


def _print(answer: Iterable[Answer], form: str, terminal: TextIO) -> None:
    if form == "json":
        print(as_json(answer), file=terminal)
    else:
        show(answer, Console(file=terminal, width=OUT.width, highlight=False))


@main.command()
@click.argument("time", metavar="TIME")
@click.argument("names", metavar="[AUDIENCE]...", nargs=-1)
@click.option(
    "--through", type=int, metavar="SEQ", help="Read batches up to this one, whatever a build had read by then."
)
@click.option(
    "--keep", type=click.Path(path_type=Path), metavar="FOLDER", help="Leave the warehouse of then in a new folder."
)
@FORMAT
def at(time: str, names: tuple[str, ...], through: int | None, keep: Path | None, form: str) -> None:
    """Who was in an audience at a past time: `cdp at 2026-09-01 vips`. Without a name, the sizes of all.

    It builds what had landed by then into a warehouse beside the real one, by today's models, rules and overrides, and touches
    nothing else. --keep leaves that warehouse behind, with profiles, traits, consents, attributes and audiences as of then.
    """
    from cdp_orchestration.queries.at import at as answer

    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        _print(answer(home, time, names, through, keep), form, terminal)


@main.command("audience-diff")
@click.argument("names", metavar="[AUDIENCE]...", nargs=-1)
@click.option("--base", required=True, metavar="REV", help="The git revision to compare with: origin/main, say.")
@click.option("--head", metavar="REV", help="The other one. Default: the working tree as it is.")
@click.option("--as-of", metavar="TIME", help="The moment both speak for. Default: that of the last build.")
@click.option(
    "--through", type=int, metavar="SEQ", help="Read batches up to this one. Default: as the last build until then."
)
@click.option("--fail-over", type=click.FloatRange(min=0), metavar="PERCENT",
              help="Exit code 1 where adds and drops of an audience are more than this share of its members before.")  # fmt: skip
@FORMAT
def audience_diff(
    names: tuple[str, ...],
    base: str,
    head: str | None,
    as_of: str | None,
    through: int | None,
    fail_over: float | None,
    form: str,
) -> None:
    """What a change does to audiences: who is added and dropped between two git revisions, over the same data.

    Each revision's dbt_project.yml and dbt_project/ are built into a warehouse beside the real one, which is not touched; the
    rest, profiles/ included, is that of this checkout. docs/audience-diff.md has a workflow for pull requests.
    """
    from cdp_orchestration.queries.audience_diff import audience_diff as compared
    from cdp_orchestration.queries.audience_diff import over

    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        found = compared(home, base, head, names, as_of, through)
        _print(found.answers, form, terminal)
    if fail_over is not None and (too_much := over(found.moved, fail_over)):
        for sentence in too_much:
            ERR.print(f"over {fail_over:g} %: {sentence}")
        sys.exit(1)
