"""The verb that adds something to the project: new."""

import click

from cdp_orchestration.cli.command import OUT, main
from cdp_orchestration.home import PROJECT_ROOT


@main.command()
@click.argument("what", metavar="attribute|audience|sync|source|destination")
@click.argument("name", metavar="NAME")
@click.option("--kind", metavar="KIND", help="Of a source (default: files) or destination (default: webhook).")
@click.option("--stream", metavar="NAME", help="The stream of a new source (default: records).")
@click.option(
    "--audience", metavar="NAME", help="What a sync sends; default: as its name says, <audience>_to_<destination>."
)
@click.option("--destination", metavar="NAME", help="Where a sync sends it; default: as its name says.")
def new(
    what: str, name: str, kind: str | None, stream: str | None, audience: str | None, destination: str | None
) -> None:
    """Begin an attribute, audience, sync, source or destination: its files, in order as they are, and what to edit next.

    Overwrites nothing.
    """
    from cdp_orchestration.scaffold.new import Wish
    from cdp_orchestration.scaffold.new import new as made

    done = made(PROJECT_ROOT, what, Wish(name, kind, stream, audience, destination))
    for file in done.files:
        OUT.print(f"wrote    {file}", soft_wrap=True, markup=False)
    for file in done.changed:
        OUT.print(f"changed  {file}", soft_wrap=True, markup=False)
    for step in done.next:
        OUT.print(f"- {step}", soft_wrap=True, markup=False)
