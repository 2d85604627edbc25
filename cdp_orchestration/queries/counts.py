"""How much there is: records per stream, people, rows of the models of a layer."""

from typing import Any

from cdp_orchestration.project.relations import existing, models_of
from cdp_orchestration.project.streams import Stream, table_models
from cdp_orchestration.queries.answers import Lines
from cdp_orchestration.warehouse import Reading


def intake(connection: Reading) -> Lines:
    """Per source and stream: landed, accepted, duplicate, quarantined records."""
    return connection.execute(
        """
        with landed as (
            select source, stream, sum(records) as records from landing._batches
            where batch_seq <= (select through_batch_seq from staging.current_build) group by source, stream
        ),
        fates as (
            select source, stream,
                count(*) filter (where fate = 'accepted') as accepted,
                count(*) filter (where fate = 'duplicate') as duplicate,
                count(*) filter (where fate = 'quarantined') as quarantined
            from staging.intake group by source, stream
        )
        select source || '.' || stream, cast(records as bigint), coalesce(accepted, 0), coalesce(duplicate, 0),
            coalesce(quarantined, 0)
        from landed left join fates using (source, stream) order by 1
        """
    ).fetchall()


def tables(connection: Reading, manifest: dict[str, Any]) -> dict[Stream, tuple[int, int, int]]:
    """Of each table that was built: its rows, the older versions of them, and the records that were set aside."""
    models = table_models(manifest)
    found = {}
    for stream, relation in models.items():
        if existing(connection, [relation]):
            schema, name = relation.split(".")
            row = connection.execute(
                f'select count(*), coalesce(cast(sum(versions) as bigint), 0) - count(*) from "{schema}"."{name}"'
            ).fetchone()
            aside = connection.execute(
                "select count(*) from staging.refused where source = ? and stream = ? and scope = 'record'",
                [*stream],
            ).fetchone()
            if row and aside:
                found[stream] = (row[0], row[1], aside[0])
    return found


def people(connection: Reading) -> Lines:
    """Counts of people, identifiers, merges and messages that belong to nobody."""
    return connection.execute(
        """
        select what, amount
        from (
            select 1 as place, 'people' as what, count(*) as amount from profiles.profiles union all
            select 2, 'of them known (user_id, email or phone)', count(*) from profiles.profiles where is_known union all
            select 3, 'identifiers', count(*) from identity.identifiers union all
            select 4, 'merges', count(*) from identity.merges where kind = 'merge' union all
            select 5, 'identifiers refused by a rule', count(*) from identity.refusals union all
            select 6, 'messages', count(*) from staging.messages union all
            select 7, 'messages of nobody', count(*) from profiles.events where profile_id is null
        ) as counted
        order by place
        """
    ).fetchall()


def sizes(connection: Reading, manifest: dict[str, Any], layer: str, names: list[str] | None = None) -> Lines:
    """(model, rows) of every model of a layer, or of those named, that was built."""
    named = models_of(manifest, layer) if names is None else names
    built = existing(connection, [f"{layer}.{name}" for name in named])
    found: Lines = []
    for name in (relation.partition(".")[2] for relation in built):
        counted = connection.execute(f'select count(*) from "{layer}"."{name}"').fetchone()
        found.append((name, counted[0] if counted else 0))
    return found
