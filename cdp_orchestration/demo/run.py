"""`cdp demo`: write the demo company, run a pass with a receiver that plays its CRM, show what happened."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from cdp_orchestration.demo.company import AS_OF, SEED, write_company
from cdp_orchestration.demo.receiver import Receiver
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT, Home
from cdp_orchestration.project.manifest import audiences, current_manifest
from cdp_orchestration.queries import counts
from cdp_orchestration.queries.answers import Answer, Rows
from cdp_orchestration.warehouse import RelationMissing, Warehouse, target

TOKEN = "demo-token"  # opens nothing but the receiver that the demo itself starts on loopback


def is_demo(home: Home) -> bool:
    """Whether the home holds a demo company."""
    return (home.root / "company").exists()


@contextmanager
def receiver_of(home: Home) -> Iterator[Receiver | None]:
    """While open, the demo's CRM webhook is answered; in a home without a demo, nothing happens."""
    if not is_demo(home) or os.environ.get("CRM_WEBHOOK_URL"):
        yield None
        return
    with Receiver(home.root / "receiver" / "state.json", TOKEN) as receiver:
        settings = {"CRM_WEBHOOK_URL": receiver.url, "CRM_WEBHOOK_TOKEN": TOKEN, "CRM_WEBHOOK_ACCOUNT": "demo"}
        os.environ.update(settings)
        try:
            yield receiver
        finally:
            for name in settings:
                del os.environ[name]


def run_demo(home: Home, people: int, show: Callable[[Iterable[Answer]], None], one_pass: Callable[..., bool]) -> bool:
    """Write the company, run a pass over it, show what happened. Returns whether all went well."""
    started = time.monotonic()
    written = home.root / "company" / ".written"  # what for; the last thing that is written
    wanted = f"{people} people, seed {SEED}"
    first = not written.exists() or written.read_text() != wanted
    if first:
        show(["Writing the demo company (the same bytes every time)…"])
        write_company(home.root / "company", home.root / "truth", people=people)
        written.write_text(wanted)
    else:
        show(["The demo company is there already."])
    _refuse_to_go_back(home)
    before = _outcomes(home)
    with receiver_of(home) as receiver:
        ok = one_pass(home, as_of=AS_OF.isoformat(), full_refresh=False, deliver=True)
        if ok:
            show(_what_happened(home, receiver, before))
    show([f"\n{'First' if first else 'Another'} run took {time.monotonic() - started:.0f} s."])
    return ok


def _what_happened(home: Home, receiver: Receiver | None, before: set[str]) -> Iterator[Answer]:
    yield ""
    manifest = current_manifest(home)
    with Warehouse(home).reading() as connection:
        parts = [
            ("Records", ["stream", "landed", "accepted", "duplicate", "quarantined"], counts.intake(connection)),
            ("People", ["what", "count"], counts.people(connection)),
            ("Attributes", ["attribute", "people who have it"], counts.sizes(connection, manifest, "attributes")),
            (
                "Audiences",
                ["audience", "members"],
                counts.sizes(connection, manifest, "audiences", list(audiences(manifest))),
            ),
            ("Stitching against the truth", ["measure", "value"], _quality(home, connection)),
        ]
        ledger = connection.execute(
            "select run_id, sync, operation, status, count(*) from activation.deliveries "
            "group by 1, 2, 3, 4 order by 1, 2, 3, 4"
        ).fetchall()
    for title, columns, rows in parts:
        yield Rows(title, columns, rows)
    sent = {(sync, operation, status): 0 for _, sync, operation, status, _ in ledger}
    for run_id, sync, operation, status, count in ledger:
        if run_id not in before:
            sent[sync, operation, status] += count
    lines = [(*key, count) for key, count in sorted(sent.items())]
    yield Rows("Sent by this run", ["sync", "operation", "status", "rows"], lines)
    held: list[tuple[str, int]] = []
    if receiver is not None:
        held = [(f"CRM receiver holds for {sync}", len(rows)) for sync, rows in sorted(receiver.state().items())]
        held += [(f"CRM receiver: {name}", count) for name, count in receiver.stats().items()]
    held.append(("files in the sales desk's drop folder", len(list(home.drop.glob("*.*")))))
    yield Rows("What arrived", ["where", "count"], held)
    where = os.path.relpath(home.root, PROJECT_ROOT)
    yield f"""Where to look next
  make dev                                     the asset graph, runs and checks in Dagster's UI
  CDP_HOME={where} .venv/bin/cdp status        last runs, what failed, what each sync owes
  CDP_HOME={where} .venv/bin/cdp quarantine    what was refused and why
  CDP_HOME={where} .venv/bin/cdp profile email={_somebody(home)}
  {where}/drop                                 what the sales desk was sent
The warehouse is {Warehouse(home).where()}.
Remove the demo with: {_removal(home)}"""


def _refuse_to_go_back(home: Home) -> None:
    """The demo always runs as of one moment; a run by the real clock in its home is later. Raises NeedsAPerson."""
    if not Warehouse(home).exists():
        return
    try:
        with Warehouse(home).reading() as connection:
            last = connection.execute("select max(as_of) from staging.builds").fetchone()
    except RelationMissing:  # a first build that died early
        return
    if last and last[0] and last[0] > AS_OF.replace(tzinfo=None):
        raise NeedsAPerson(
            f"The demo always runs as of {AS_OF:%Y-%m-%d}, and something in {home.root} was built as of {last[0]:%Y-%m-%d %H:%M} "
            f"since (`cdp run`, or a schedule). Time only moves forward: start it over with `{_removal(home)}`."
        )


def _removal(home: Home) -> str:
    where = os.path.relpath(home.root, PROJECT_ROOT)
    return f"rm -r {where}" if target() == "duckdb" else f"CDP_HOME={where} .venv/bin/cdp reset --everything"


def _outcomes(home: Home) -> set[str]:
    """Runs that the ledger's files know so far; the warehouse may not know them yet."""
    files = [str(file) for file in home.deliveries.glob("ledger/*/*.parquet")]
    if not files:
        return set()
    with duckdb.connect() as local:
        found = local.execute("select distinct run_id from read_parquet(?, union_by_name = true)", [files]).fetchall()
    return {run_id for (run_id,) in found}


def _somebody(home: Home) -> str:
    with Warehouse(home).reading() as connection:
        found = connection.execute(
            "select people.email from activation.newsletter_to_crm as people "
            "inner join audiences.vips as vips on vips.profile_id = people.profile_id order by people.email limit 1"
        ).fetchone()
    return found[0] if found else "…"


def _quality(home: Home, connection: Any) -> list[tuple[str, Any]]:
    """Pairwise precision and recall of the identifiers' owners against the generator's truth.

    A pair is two identifiers with one owner. Identifiers that several people share are left out.
    """
    owners = connection.arrow("select identifier_type, identifier_value, profile_id from identity.identifiers")
    with duckdb.connect() as local:
        local.register("owners", owners)
        row = local.execute(
            """
        with truth as (
            select identifier_type, identifier_value, any_value(person_id) as person_id
            from read_csv(?, all_varchar = true) where shared = 'false' group by all
        ),
        judged as (
            select person_id, profile_id from truth join owners using (identifier_type, identifier_value)
        ),
        in_both as (select sum(n * (n - 1) / 2) as pairs from (select count(*) as n from judged group by person_id, profile_id)),
        ours as (select sum(n * (n - 1) / 2) as pairs from (select count(*) as n from judged group by profile_id)),
        theirs as (select sum(n * (n - 1) / 2) as pairs from (select count(*) as n from judged group by person_id))
        select in_both.pairs / nullif(ours.pairs, 0), in_both.pairs / nullif(theirs.pairs, 0)
        from in_both, ours, theirs
        """,
            [str(home.root / "truth" / "identifiers.csv")],
        ).fetchone()
    return [("pairwise precision", f"{row[0]:.4f}"), ("pairwise recall", f"{row[1]:.4f}")] if row and row[0] else []
