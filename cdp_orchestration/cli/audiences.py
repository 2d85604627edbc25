"""The verbs about audiences: audiences, preview, export."""

import click
from rich.console import Console

from cdp_orchestration.cli.command import OUT, main
from cdp_orchestration.cli.start import quiet_output, ready_home
from cdp_orchestration.cli.tables import show


@main.command()
@click.option("--overlap", is_flag=True, help="Also how many people each two audiences have in common.")
def audiences(overlap: bool) -> None:
    """How large each audience is, who entered and left, and who can be reached how.

    entered and left: in the last build, and within 24 h before its as_of. volatility: entered and left within 24 h, as a share
    of the members. email, phone, device: members who hold such an identifier.
    """
    from cdp_orchestration.queries.audiences import audiences as answer

    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        show(answer(home, overlap), Console(file=terminal, width=OUT.width, highlight=False))


@main.command()
@click.argument("name", metavar="AUDIENCE")
def preview(name: str) -> None:
    """Who an audience would hold by its model as you edit it, before anything is built or recorded.

    The audience may be new. Attributes, profiles and the clock are those of the last build. Addresses and phone numbers are
    masked.
    """
    from cdp_orchestration.queries.preview import preview as answer

    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        show(answer(home, name), Console(file=terminal, width=OUT.width, highlight=False))


@main.command()
@click.argument("audience", metavar="AUDIENCE")
@click.option("--with-pii", is_flag=True, help="Write e-mail addresses and phone numbers as they are.")
def export(audience: str, with_pii: bool) -> None:
    """The members of an audience as CSV in CDP_HOME/exports, a row per identity; exports/log.jsonl says who did it.

    It holds all members, whatever they consented to: a sync is what asks for consent.
    """
    from cdp_orchestration.export import export as exported

    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log"):
        done = exported(home, audience, with_pii)
    OUT.print(f"{audience}: {done.members:,} members, {done.rows:,} rows in {done.file}", soft_wrap=True, markup=False)
    if not with_pii:
        OUT.print("E-mail addresses and phone numbers are masked; --with-pii writes them.")
