"""The SQL of planning. `should_hold` runs in the warehouse (standard SQL); all else in a DuckDB in memory."""

import pyarrow as pa

from cdp_orchestration.delivery.sync import Sync

GRANTED = "cdp_granted_"


def should_hold(sync: Sync) -> tuple[str, list[object]]:
    """Query and parameters: the model's columns, and cdp_granted_<n>, the message that granted the n-th purpose.

    A (profile, purpose) with several states counts as granted only if all of them say so.
    """
    columns, joins, parameters = [], [], []
    for number, purpose in enumerate(sync.consent if sync.consent != "not_required" else ()):
        columns.append(f", grant_{number}.message_id as {GRANTED}{number}")
        joins.append(
            f"""
            left join (
                select profile_id, coalesce(min(message_id), '') as message_id
                from profiles.consents where regulation = ? and purpose = ?
                group by profile_id having count(*) = count(case when state = 'granted' then 1 end)
            ) as grant_{number} on grant_{number}.profile_id = rows_.profile_id
            """
        )
        parameters += [purpose.regulation, purpose.purpose]
    return f"select rows_.*{''.join(columns)} from {sync.relation} as rows_{''.join(joins)}", list(parameters)


def wanted(sync: Sync, schema: pa.Schema) -> str:
    """Makes the table `wanted` from `model`: one row per row of the model, `allowed` says whether it may leave.

    fields: a JSON object of all columns but row_key, profile_id and consent_message_id, in the model's order, nulls as
    null, timestamps in ISO 8601 with microseconds and Z. A double that is not finite has no JSON form: null.
    """
    types = {column.name: column.type for column in schema}
    grants = [name for name in types if name.startswith(GRANTED)]
    fields = [n for n in types if n not in ("row_key", "profile_id", "consent_message_id") and n not in grants]
    allowed = " and ".join(f"{name} is not null" for name in grants) or "true"
    consent = "consent_message_id"
    if grants:
        consent = f"coalesce(consent_message_id, nullif({grants[0]}, ''))"
    return f"""
        create temp table wanted as
        select *, md5(fields || identifiers) as payload_hash from (
            select
                cast(row_key as varchar) as row_key,
                cast(profile_id as varchar) as profile_id,
                cast({consent} as varchar) as consent_message_id,
                {_object(fields, types)} as fields,
                {_object(list(sync.identifiers), types)} as identifiers,
                {allowed} as allowed
            from model
        )
    """


def _object(names: list[str], types: dict[str, pa.DataType]) -> str:
    """SQL for a JSON object, as text, of the named columns in that order."""
    parts = []
    for name in names:
        column = '"' + name.replace('"', '""') + '"'
        if pa.types.is_timestamp(types[name]):
            column = f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        elif pa.types.is_floating(types[name]):
            column = f"case when isfinite({column}) then cast({column} as double) end"
        parts += ["'" + name.replace("'", "''") + "'", column]
    return f"cast(json_object({', '.join(parts)}) as varchar)"


# ledger: all attempts. latest: the last accepted operation per row. entries: what is, or may be, at the destination,
# per row and identifiers. doubts: attempts of unknown outcome since the row's last accepted operation.
LEDGER = """
    create temp table ledger as
    select row_key, profile_id, operation, status, code = 'unknown' and status = 'failed' as is_unknown, payload_hash,
        identifiers_sent, idempotency_key, ledger_no, batch_no
    from {ledger};

    create temp table latest as
    select row_key, max(ledger_no) as ledger_no, arg_max(operation, ledger_no) as operation,
        arg_max(payload_hash, ledger_no) as payload_hash, arg_max(identifiers_sent, ledger_no) as identifiers
    from ledger where status = 'accepted' group by row_key;

    create temp table doubts as
    select ledger.* from ledger left join latest using (row_key)
    where is_unknown and ledger.ledger_no > coalesce(latest.ledger_no, 0);

    create temp table entries as
    with settled as (
        select row_key, identifiers_sent as identifiers, max(ledger_no) as ledger_no,
            arg_max(operation, ledger_no) as operation, arg_max(profile_id, ledger_no) as profile_id
        from ledger where status = 'accepted' group by all
    ),
    doubtful as (
        select ledger.row_key, identifiers_sent as identifiers,
            arg_max(ledger.profile_id, ledger.ledger_no) as profile_id
        from ledger
        left join settled
            on settled.row_key = ledger.row_key and settled.identifiers = ledger.identifiers_sent
        where is_unknown and ledger.operation <> 'remove' and ledger.ledger_no > coalesce(settled.ledger_no, 0)
        group by ledger.row_key, ledger.identifiers_sent
    )
    select row_key, identifiers, max(profile_id) as profile_id from (
        select row_key, identifiers, profile_id from settled where operation <> 'remove'
        union all by name
        select row_key, identifiers, profile_id from doubtful
    ) group by all;
"""

# A key is used again only for a replay: the same operation and payload as in the row's latest attempt of unknown
# outcome. Otherwise the number of keys that did or may have had an effect makes it new, so that A, B, A again differs.
PLANNED = """
    create temp table planned as
    with holding as (
        select * from wanted where allowed
    ),
    removes as (
        select
            entries.row_key, entries.profile_id, 'remove' as operation, entries.identifiers as fields,
            entries.identifiers, md5(entries.identifiers) as payload_hash, cast(null as varchar) as consent_message_id
        from entries
        left join holding using (row_key)
        where $mirror and (holding.row_key is null or holding.identifiers <> entries.identifiers)
    ),
    doubtful as (
        select row_key, bool_or(operation = 'remove') as maybe_removed from doubts group by row_key
    ),
    sends as (
        select
            holding.row_key, holding.profile_id,
            case
                when holding.row_key in (select row_key from removes) then 'add'
                when latest.row_key is null or latest.operation = 'remove' then 'add'
                when latest.identifiers <> holding.identifiers then 'add'
                when doubtful.maybe_removed then 'add'
                when doubtful.row_key is not null or latest.payload_hash <> holding.payload_hash then 'update'
            end as operation,
            holding.fields, holding.identifiers, holding.payload_hash, holding.consent_message_id
        from holding
        left join latest using (row_key)
        left join doubtful using (row_key)
    ),
    operations as (
        select * from removes
        union all by name
        select * from sends where operation is not null
    ),
    versions as (
        select row_key, count(distinct idempotency_key) as version
        from ledger where status = 'accepted' or is_unknown group by row_key
    ),
    replays as (
        select row_key, operation, payload_hash, max(idempotency_key) as idempotency_key
        from doubts join (select row_key, max(batch_no) as batch_no from doubts group by row_key)
            using (row_key, batch_no)
        group by all
    ),
    keyed as (
        select operations.*, coalesce(
            replays.idempotency_key,
            md5(concat_ws('|', $sync, row_key, operation, payload_hash, coalesce(version, 0)))
        ) as idempotency_key
        from operations
        left join versions using (row_key)
        left join replays using (row_key, operation, payload_hash)
    ),
    attempts as (
        select idempotency_key, count(*) as attempts from ledger group by idempotency_key
    )
    select
        row_number() over (order by operation <> 'remove', row_key, identifiers) - 1 as ordinal,
        operation, row_key, profile_id, fields, identifiers, payload_hash, consent_message_id, idempotency_key,
        coalesce(attempts, 0) + 1 as attempt
    from keyed left join attempts using (idempotency_key)
"""

COUNTS = """
    select
        (
            select count(distinct row_key) from planned
            where operation = 'remove' and row_key not in (select row_key from planned where operation <> 'remove')
        ),
        (select count(*) from wanted where not allowed),
        (select count(*) from latest where operation <> 'remove')
"""
