"""`cdp audiences`: how large each audience is, how it moves, who of it can be reached how, and how audiences overlap."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.masking import reach_columns
from cdp_orchestration.identity.rules import identity_rules
from cdp_orchestration.project.manifest import audiences as models_of_audiences
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.project.relations import existing
from cdp_orchestration.queries.answers import Answer, Lines, Rows
from cdp_orchestration.warehouse import NothingBuilt, Reading, Warehouse

READ = ["staging.current_build", "identity.identifiers", "audiences.changes", "audiences.current_members"]
COLUMNS = ["audience", "members", "entered", "left", "entered 24 h", "left 24 h", "volatility 24 h", "email", "phone", "device",
           "last changed"]  # fmt: skip


def audiences(home: Home, overlap: bool = False) -> Iterator[Answer]:
    """A line per audience; with `overlap` also how many people each two have in common.

    entered, left: in the last build, and within 24 h before its as_of. volatility: both of the 24 h, as a share of the
    members. email, phone, device: members who hold such an identifier.
    """
    names = list(models_of_audiences(current_manifest(home)))
    rules = identity_rules()
    shared, variants = list[Any](), list[Any]()
    try:
        with Warehouse(home).reading() as connection:
            built = built_audiences(connection, names)
            rows, build = _lines(connection, built, rules) if built else ([], None)
            variants = _variants(connection, built) if built else []
            if overlap and built:
                shared = _overlap(connection, built)
    except NothingBuilt as nothing:
        yield str(nothing)
        return
    yield Rows("Audiences", COLUMNS, rows)
    if variants:
        yield Rows("Variants", ["audience", "variant", "members", "share"], variants)
    if overlap:
        yield Rows("Members of both", ["audience", *built], shared)
    if missing := [name for name in names if name not in built]:
        yield f"Not built yet: {', '.join(missing)}. `cdp run` builds, `cdp preview NAME` shows what it would hold."
    if build:
        yield f"Last build: as of {build[1]}, run {build[0]}"


def built_audiences(connection: Reading, names: list[str]) -> list[str]:
    """Those of the audiences that the warehouse has; none where not all is there that is asked about them."""
    there = existing(connection, [*READ, *(f"audiences.{name}" for name in names)])
    return [name for name in names if f"audiences.{name}" in there] if set(READ) <= set(there) else []


def known_audiences(manifest: dict[str, Any], names: Sequence[str]) -> list[str]:
    """The names, each once. Raises NeedsAPerson for one that is no audience of the project."""
    known = models_of_audiences(manifest)
    for name in names:
        if name not in known:
            raise NeedsAPerson(
                f"{name}: there is no such audience. There are: {', '.join(known) or 'none'}. `cdp new audience {name}` begins one."
            )
    return list(dict.fromkeys(names))


def built_audience(connection: Reading, manifest: dict[str, Any], name: str) -> None:
    """Raises NeedsAPerson unless the audience is there and built."""
    names = list(models_of_audiences(manifest))
    built = built_audiences(connection, names)
    if name in built:
        return
    if name in names:
        raise NeedsAPerson(
            f"{name}: is not built yet. `cdp run` builds it; `cdp preview {name}` shows what it would hold."
        )
    raise NeedsAPerson(f"{name}: there is no such audience. There are: {', '.join(built) or 'none yet'}.")


def _lines(connection: Reading, names: list[str], rules: dict[str, Any]) -> tuple[Lines, tuple[Any, ...] | None]:
    build = connection.execute("select build_id, as_of from staging.current_build").fetchone()
    if build is None:
        return [], None
    build_id, as_of = build
    counted = bool(existing(connection, ["audiences.sizes"]))  # not in a warehouse that another version built last
    moved = (
        {
            audience: [int(count or 0) for count in counts] + [last]
            for audience, *counts, last in connection.execute(
                """
            select
                audience,
                sum(case when build_id = ? then entered end),
                sum(case when build_id = ? then exited end),
                sum(case when "at" > ? and "at" <= ? then entered end),
                sum(case when "at" > ? and "at" <= ? then exited end),
                max(case when entered + exited > 0 then "at" end)
            from audiences.sizes
            group by audience
            """,
                [build_id, build_id, *[as_of - timedelta(hours=24), as_of] * 2],
            ).fetchall()
        }
        if counted
        else {}
    )
    sizes = {
        audience: counts
        for audience, *counts in connection.execute(
            f"""
            select members.audience, count(*), sum(coalesce(held.has_email, 0)), sum(coalesce(held.has_phone, 0)),
                sum(coalesce(held.has_device, 0))
            from audiences.current_members as members
            left join (select profile_id, {reach_columns(rules)} from identity.identifiers group by profile_id) as held
                on held.profile_id = members.profile_id
            group by members.audience
            """
        ).fetchall()
    }
    rows: Lines = []
    for name in names:
        entered, left, entered_24h, left_24h, last = moved.get(name, [0, 0, 0, 0, None])
        size, *reached = (int(count) for count in sizes.get(name, [0, 0, 0, 0]))
        volatility = (entered_24h + left_24h) / size if size else None
        rows.append((name, size, entered, left, entered_24h, left_24h, volatility, *reached, last))
    return rows, build


def _variants(connection: Reading, names: list[str]) -> Lines:
    """Of the audiences that are split."""
    rows = connection.execute(
        """
        select audience, variant, count(*)
        from audiences.current_members
        where variant is not null
        group by audience, variant
        order by audience, variant
        """
    ).fetchall()
    sizes = {name: sum(count for audience, _, count in rows if audience == name) for name in names}
    return [(name, variant, count, count / sizes[name]) for name, variant, count in rows if name in sizes]


def _overlap(connection: Reading, names: list[str]) -> Lines:
    counts = {
        (one, other): count
        for one, other, count in connection.execute(
            """
            select one.audience, other.audience, count(*)
            from audiences.current_members as one
            inner join audiences.current_members as other on other.profile_id = one.profile_id
            group by one.audience, other.audience
            """
        ).fetchall()
    }
    return [(one, *(counts.get((one, other), 0) for other in names)) for one in names]
