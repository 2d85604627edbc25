"""The verbs that answer and change nothing: status, profile, why, why-member, what-if, quarantine, undeclared, catalogue,
check."""

import sys
from pathlib import Path

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
@click.option(
    "--as-of", metavar="TIME", help="At a past moment (ISO, UTC): builds a warehouse of then beside the real one."
)
@click.option("--through", type=int, metavar="SEQ", help="With --as-of: read batches up to this one.")
@click.option("--kept", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Ask the warehouse of then that `cdp at --keep FOLDER` left.")  # fmt: skip
def why_member(audience: str, identifier: str, as_of: str | None, through: int | None, kept: Path | None) -> None:
    """Why a person is in an audience, or is not: each condition with the person's value and its verdict."""
    from cdp_orchestration.queries.why_member import why_member as explained
    from cdp_orchestration.queries.why_member_then import why_member_then

    if through is not None and (kept or not as_of):
        raise click.UsageError("--through goes with --as-of, and not with --kept.")
    who = _identifier(identifier)
    home = ready_home()
    with quiet_output(home.root / "logs" / "cdp.log") as terminal:
        past = as_of or kept
        answer = why_member_then(home, audience, who, as_of, through, kept) if past else explained(home, audience, who)
        show(answer, Console(file=terminal, width=OUT.width, highlight=False))


@main.command("what-if")
@click.argument("rules", metavar="FILE")
def what_if(rules: str) -> None:
    """What other identity rules would do: FILE holds what would change in `vars: identity`. Changes nothing."""
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
@click.option("--limit", default=30, show_default=True, type=click.IntRange(min=1), help="Rows of each kind.")
def undeclared(limit: int) -> None:
    """Properties and traits that senders send and the catalogue does not declare, with how often."""
    from cdp_orchestration.queries.undeclared import undeclared as found

    show(found(ready_home(), limit), OUT)


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


@main.command()
@click.argument("stream")
@click.option("--records", default=2000, show_default=True, help="How many of the newest landed records are read.")
def mapping(stream: str, records: int) -> None:
    """What the fields of a stream's records are mapped to, for example `cdp mapping shop.orders`."""
    from cdp_orchestration.queries.mapping import mapping as mapped

    show(mapped(ready_home(), stream, records), OUT)
