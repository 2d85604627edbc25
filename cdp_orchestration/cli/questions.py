"""The verbs that answer and change nothing: status, profile, why, why-member, what-if, quarantine, catalogue,
check."""

import sys

import click
from rich.console import Console

from cdp_orchestration.cli.command import ERR, OUT, main
from cdp_orchestration.cli.start import quiet_output, ready_home
from cdp_orchestration.cli.tables import show


@main.command()
@click.option("--all", "everything", is_flag=True, help="Also every asset: when it last ran, and how many rows it has.")
def status(everything: bool) -> None:
    """The last runs, what failed, what each sync still owes, what is stale; then the records of each stream."""

    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        from cdp_orchestration.queries.status import status as answer

        show(answer(home, everything), Console(file=terminal, width=OUT.width, highlight=False))


@main.command()
@click.argument("identifier", metavar="TYPE=VALUE")
def profile(identifier: str) -> None:
    """One person, for example `cdp profile email=jane@example.com`."""
    from cdp_orchestration.queries.person import person

    kind, value = _identifier(identifier)
    show(person(ready_home(), kind, value), OUT)


def _identifier(text: str) -> tuple[str, str]:
    kind, separator, value = text.partition("=")
    if not separator or not kind or not value:
        raise click.UsageError("Write TYPE=VALUE, for example email=jane@example.com or user_id=C-100001.")
    return kind, value


@main.command()
@click.argument("one", metavar="TYPE=VALUE")
@click.argument("other", metavar="TYPE=VALUE")
def why(one: str, other: str) -> None:
    """Why two identifiers are one person (the links), or why not (the rule): `cdp why email=a@b.c user_id=7`."""
    from cdp_orchestration.queries.why import why as explained

    first, second = _identifier(one), _identifier(other)
    show(explained(ready_home(), first, second), OUT)


@main.command("why-member")
@click.argument("audience")
@click.argument("identifier", metavar="TYPE=VALUE")
@click.option("--as-of", metavar="TIME", help="Membership at a past moment (ISO, UTC), as builds saw it then.")
def why_member(audience: str, identifier: str, as_of: str | None) -> None:
    """Why a person is in an audience, or is not: each condition with the person's value and its verdict."""
    from cdp_orchestration.queries.why_member import why_member as explained

    kind, value = _identifier(identifier)
    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        show(explained(home, audience, (kind, value), as_of), Console(file=terminal, width=OUT.width, highlight=False))


@main.command("what-if")
@click.argument("rules", metavar="FILE")
def what_if(rules: str) -> None:
    """What other identity rules would do: FILE holds what would change in `vars: identity`. Changes nothing."""
    from pathlib import Path

    from cdp_orchestration.queries.what_if import rules_of
    from cdp_orchestration.queries.what_if import what_if as compared

    rules_of(Path(rules))  # a wrong file is reported before anything starts
    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        show(compared(home, Path(rules)), Console(file=terminal, width=OUT.width, highlight=False))


@main.command()
@click.option("--samples", default=2, show_default=True, help="Examples per reason.")
def quarantine(samples: int) -> None:
    """What was refused and why, with counts and samples."""
    from cdp_orchestration.queries.quarantine import quarantine as refused

    show(refused(ready_home(), samples), OUT)


@main.command()
def catalogue() -> None:
    """The traits and event properties that are declared: type, PII class, merge rule, where senders say them."""
    from cdp_orchestration.queries.catalogue import catalogue as declared

    show(declared(), OUT)


@main.command()
@click.option(
    "--data", is_flag=True, help="Also run every check of the models over all data, not over a build's new rows."
)
def check(data: bool) -> None:
    """Check the definitions: every defs.yaml, model, sync and staging model; changes nothing."""
    from cdp_orchestration.queries.checks import check_definitions, notes

    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log"):
        problems = check_definitions()
        noted = [] if problems else notes()
    for problem in problems:
        ERR.print(f"- {problem}")
    if problems:
        sys.exit(1)
    for note in noted:
        OUT.print(f"- {note}", soft_wrap=True)
    OUT.print("Definitions are in order.")
    if data:
        from cdp_orchestration.queries.data_checks import check_data

        found = check_data(home)
        for name, why in found.warnings.items():
            OUT.print(f"- {name} (a warning): {why}", soft_wrap=True)
        for name, why in found.failed.items():
            ERR.print(f"- {name}: {why}", soft_wrap=True)
        OUT.print(f"{found.passed} checks hold, {len(found.failed)} fail, {len(found.warnings)} warn.")
        if found.failed:
            sys.exit(1)
