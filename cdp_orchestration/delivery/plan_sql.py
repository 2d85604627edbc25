"""The SQL of planning. `should_hold` and `renamed` run in the warehouse (standard SQL); all else in a DuckDB in memory.

The unit of a plan is the entry: what a destination cannot tell apart, because its identifiers are the same. Several
rows of the model may stand for one entry; a row without identifiers is an entry of its own (`alone` is its row_key
then, and '' elsewhere).
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from cdp_orchestration.delivery.sync import Sync

GRANTED = "cdp_granted_"
# A row that is withheld for one of these is neither sent nor removed; for any other reason what is there is taken back.
HOLDS_BACK = ("sampled_out", "frequency_cap")
NO_FIELDS = ("row_key", "profile_id", "consent_message_id", "withheld_reason")


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


def renamed(profile_ids: list[str]) -> str:
    """Of these profiles, those that are gone, and who took their place: one row per pair. The ids are plain words."""
    listed = ", ".join(f"'{profile_id}'" for profile_id in profile_ids)
    return f"""
        select distinct merges.from_profile_id, merges.into_profile_id
        from identity.merges as merges
        left join profiles.profiles as profiles on profiles.profile_id = merges.from_profile_id
        where merges.from_profile_id in ({listed}) and profiles.profile_id is null
    """


def alone(identifiers: str, row_key: str) -> str:
    """SQL: the row_key where each of the identifiers (a JSON object as text) is null or blank, else ''.

    Most texts are done with after a look for a null or a blank; only few are read as a whole.
    """
    blank = r"'\{(\"([^\"\\]|\\.)*\":(null|\"(\s|\\[tnrfb])*\"),?)*\}'".replace(r"\"", '"')
    suspect = " or ".join(f"contains({identifiers}, '{sign}')" for sign in (":null", ':""', ':" ', ':"\\'))
    return f"case when ({suspect}) and regexp_full_match({identifiers}, {blank}) then {row_key} else '' end"


def entry_apart(sync: Sync) -> str:
    """SQL: what sets entries with the same identifiers apart: nothing, but for rows without any, and for events."""
    return "row_key" if sync.mode == "append" else alone("identifiers", "row_key")


def identifier_column(kind: str) -> str:
    """The column of `model` that holds an identifier in the destination's format (plan.py makes it)."""
    return f"cdp_identifier_{kind}"


def wanted(sync: Sync, schema: pa.Schema, version: str = "") -> str:
    """Makes the table `wanted` from `model` and `former`: one row per row of the model.

    allowed: it may leave. place_in_line: of the rows of an entry that may leave, the first one (the smallest row_key)
    is sent, the others share it. fields: a JSON object of all columns but row_key, profile_id and consent_message_id,
    in the model's order, nulls as null, timestamps in ISO 8601 with microseconds and Z. A double that is not finite has
    no JSON form: null.
    """
    types = {column.name: column.type for column in schema}
    grants = [name for name in types if name.startswith(GRANTED)]
    fields = [n for n in types if n not in NO_FIELDS and n not in grants and not n.startswith(identifier_column(""))]
    identifiers = dict(sync.identifiers)
    if sync.formats:  # the destination gets them apart, and only in its formats
        fields = [name for name in fields if name not in identifiers.values()]
        identifiers = {kind: identifier_column(kind) for kind in identifiers}
    reasons = ["withheld_reason"] if "withheld_reason" in types else []
    if grants:
        granted = " and ".join(f"{name} is not null" for name in grants)
        reasons.append(f"case when not ({granted}) then 'no_consent' end")
    if sync.formats:
        known = " or ".join(f"{column} is not null" for column in identifiers.values())
        reasons.append(f"case when not ({known}) then 'no_accepted_identifier' end")
    withheld = f"coalesce({', '.join(reasons)})" if reasons else "cast(null as varchar)"
    skipped = [name for name in fields if sync.sent_nulls != "all" and name not in sync.sent_nulls]
    consent = "consent_message_id"
    if grants:
        consent = f"coalesce(consent_message_id, nullif({grants[0]}, ''))"
    held_back = ", ".join(f"'{reason}'" for reason in HOLDS_BACK)
    hashed = "fields || identifiers" + (f" || '{version}'" if sync.formats else "")
    renamed = "replace (coalesce(former.former_key, model.row_key) as row_key)" if can_be_renamed(sync, schema) else ""
    return f"""
        create temp table wanted as
        select *, row_number() over (partition by allowed, identifiers, alone order by row_key) as place_in_line from (
            select
                * {"replace ('' as identifiers)" if sync.mode == "append" else ""},
                identifiers as sent_identifiers,
                withheld_reason is null as allowed,
                withheld_reason in ({held_back}) as is_held_back,
                md5({hashed}) as payload_hash,
                {entry_apart(sync)} as alone
            from (
                select
                    cast(row_key as varchar) as row_key,
                    cast(profile_id as varchar) as profile_id,
                    cast({consent} as varchar) as consent_message_id,
                    {_object({name: name for name in fields}, types, skipped)} as fields,
                    {_object(identifiers, types)} as identifiers,
                    {withheld} as withheld_reason
                from (
                    select model.* {renamed}
                    from model left join former on former.row_key = cast(model.row_key as varchar)
                )
            )
        )
    """


def can_be_renamed(sync: Sync, schema: pa.Schema) -> bool:
    """Whether the destination may know a row by its profile_id: by the row_key, and both are texts."""
    return (
        "row_key" in sync.identifiers.values()
        and sync.mode != "append"
        and not sync.formats
        and all(pa.types.is_large_string(schema.field(name).type) for name in ("row_key", "profile_id"))
    )


def _object(columns: Mapping[str, str], types: dict[str, pa.DataType], skipped: Sequence[str] = ()) -> str:
    """SQL for a JSON object, as text, of {key: column} in that order. A null of a key of `skipped` is left out."""
    values = {_literal(name): (_value(of, types), name in skipped) for name, of in columns.items()}
    whole = f"json_object({', '.join(f'{key}, {value}' for key, (value, _) in values.items())})"
    if all(skip for _, skip in values.values()) and values:
        return f"cast(json_merge_patch('{{}}', {whole}) as varchar)"  # which leaves out nulls
    if not any(skip for _, skip in values.values()):
        return f"cast({whole} as varchar)"
    parts = []
    for key, (value, skip) in values.items():
        one = f"cast(json_object({key}, {value}) as varchar)"
        part = f"substr({one}, 2, length({one}) - 2)"
        parts.append(f"case when {value} is not null then {part} end" if skip else part)
    return f"'{{' || concat_ws(',', {', '.join(parts)}) || '}}'"


def _value(name: str, types: dict[str, pa.DataType]) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if name in types and pa.types.is_timestamp(types[name]):
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    if name in types and pa.types.is_floating(types[name]):
        return f"case when isfinite({column}) then cast({column} as double) end"
    return column


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def ledger(relation: str, each_row: bool = False) -> str:
    """Makes, from the ledger, tables of what is known about the entries of every place.

    ledger: all attempts. latest: the last accepted operation per entry. doubts: attempts of unknown outcome since then.
    entries: what is, or may be, there, under the row_key that was sent last. places: what a place's number means.
    each_row: every row is an entry of its own, as of a sync that appends.
    """
    apart = "row_key" if each_row else alone("identifiers_sent", "row_key")
    known_by = "''" if each_row else "identifiers_sent"
    return f"""
        create temp table ledger as
        select row_key, profile_id, operation, status, code = 'unknown' and status = 'failed' as is_unknown,
            status = 'refused' as is_refused,
            payload_hash, {known_by} as identifiers, {apart} as alone,
            idempotency_key, ledger_no, batch_no, is_let_go, {place("destination", "address")} as place, earlier_keys
        from {relation};

        create temp table places as
        select destination, address, {place("destination", "address")} as place from {relation} group by all;

        create temp table latest as
        select place, identifiers, alone, max(ledger_no) as ledger_no, arg_max(operation, ledger_no) as operation,
            arg_max(payload_hash, ledger_no) as payload_hash, arg_max(row_key, ledger_no) as row_key,
            arg_max(profile_id, ledger_no) as profile_id
        from ledger where status = 'accepted' and not is_let_go group by place, identifiers, alone;

        create temp table doubts as
        select ledger.* from ledger left join latest using (place, identifiers, alone)
        where is_unknown and not is_let_go and ledger.ledger_no > coalesce(latest.ledger_no, 0);

        create temp table entries as
        select place, identifiers, alone, arg_max(row_key, ledger_no) as row_key,
            arg_max(profile_id, ledger_no) as profile_id
        from (
            select place, identifiers, alone, row_key, profile_id, ledger_no from latest where operation <> 'remove'
            union all by name
            select place, identifiers, alone, row_key, profile_id, ledger_no from doubts where operation <> 'remove'
        ) group by place, identifiers, alone;
    """


def place(destination: str, address: str) -> str:
    """SQL: a number for a place, as comparing numbers is cheaper than comparing texts."""
    return f"hash(coalesce({destination}, ''), coalesce({address}, ''))"


# The keys under which entries go on whose profile got another id. Ids change without anybody leaving: when an operator or
# another rule set splits a profile, when an older profile absorbs one, and once when arrival order got its present meaning
# (other founders; of two merged profiles the other one's id). Where the destination knows a row by its row_key, and that
# is the profile_id, removing the old key and adding the new one would take the person out. So a row goes on under the key
# that the destination knows, if that key's profile is gone, its identifiers went to the row's profile (perhaps by way of
# others that are gone, too), and the destination does not know the new key. Of several heirs one gets the key: the one
# that had it last, else the smallest.
FORMER = """
    create temp table former as
    with recursive newcomers as (
        select distinct model.row_key from model
        where model.row_key = model.profile_id and model.row_key not in (select row_key from here)
    ),
    heirs (former_key, row_key) as (
        select from_profile_id, into_profile_id from renamed
        where from_profile_id in (select row_key from here)
            and from_profile_id not in (select row_key from model where row_key is not null)
        union
        select heirs.former_key, renamed.into_profile_id
        from heirs join renamed on renamed.from_profile_id = heirs.row_key
    ),
    one_heir as (
        select heirs.former_key, arg_min(heirs.row_key, (here.profile_id is distinct from heirs.row_key, heirs.row_key))
            as row_key
        from heirs join newcomers using (row_key) join here on here.row_key = heirs.former_key
        group by heirs.former_key
    )
    select row_key, min(former_key) as former_key from one_heir group by row_key
"""

# Keys that are there and not wanted, provided that a profile is wanted that is not there.
UNWANTED = """
    select distinct row_key from here
    where row_key not in (select row_key from model where row_key is not null)
        and exists (select 1 from model where row_key = profile_id and row_key not in (select row_key from here))
    order by row_key
"""

# An entry whose row leaves while another row stands for it goes on with that one: an update, and no removal.
#
# A key is used again only for a replay: the same operation and payload as in the entry's latest attempt of unknown
# outcome. Otherwise the number of keys that did or may have had an effect makes it new, so that A, B, A again differs.
PLANNED = """
    create temp table planned as
    with holding as (
        select * from wanted where allowed and place_in_line = 1
    ),
    removes as (
        select
            here.row_key, here.profile_id, 'remove' as operation, here.identifiers as fields, here.identifiers,
            here.alone, md5(here.identifiers) as payload_hash, cast(null as varchar) as consent_message_id
        from here
        left join holding using (identifiers, alone)
        left join (
            select identifiers, alone, bool_or(is_held_back) as is_held_back
            from wanted where not allowed group by identifiers, alone
        ) as withheld using (identifiers, alone)
        where
            $removes and holding.row_key is null and not coalesce(withheld.is_held_back, false)
            and ($mirror or withheld.identifiers is not null)
    ),
    doubtful as (
        select identifiers, alone, bool_or(operation = 'remove') as maybe_removed
        from doubts where place = $place group by identifiers, alone
    ),
    sends as (
        select
            holding.row_key, holding.profile_id,
            case
                when latest.row_key is null or latest.operation = 'remove' then 'add'
                when doubtful.maybe_removed or latest.ledger_no <= $resynced then 'add'
                when not $updates then null
                when doubtful.identifiers is not null then 'update'
                when latest.payload_hash <> holding.payload_hash or latest.row_key <> holding.row_key then 'update'
            end as operation,
            holding.fields, holding.identifiers, holding.sent_identifiers, holding.alone, holding.payload_hash,
            holding.consent_message_id
        from holding
        left join (select * from latest where place = $place) as latest using (identifiers, alone)
        left join doubtful using (identifiers, alone)
    ),
    operations as (
        select * from removes
        union all by name
        select * from sends where operation is not null
    ),
    versions as (
        select row_key, count(distinct case when status = 'accepted' or is_unknown then idempotency_key end)
            + coalesce(max(earlier_keys), 0) as version
        from ledger group by row_key
    ),
    replays as (
        select row_key, identifiers, alone, operation, payload_hash, max(idempotency_key) as idempotency_key
        from (select * from doubts where place = $place) as doubts
        join (
            select identifiers, alone, max(batch_no) as batch_no
            from doubts where place = $place group by identifiers, alone
        ) as last_ones using (identifiers, alone, batch_no)
        group by all
    ),
    keyed as (
        select operations.*, coalesce(
            replays.idempotency_key,
            case when $append then row_key end,
            md5(concat_ws('|', $sync, row_key, operation, payload_hash, coalesce(version, 0)))
        ) as idempotency_key
        from operations
        left join versions using (row_key)
        left join replays using (row_key, identifiers, alone, operation, payload_hash)
    ),
    attempts as (
        select idempotency_key, count(*) as attempts from ledger group by idempotency_key
    ),
    -- Rows that were refused with the very values that they still have: they are tried last.
    refusals as (
        select row_key, identifiers, alone, payload_hash, max(ledger_no) as refused_before
        from ledger where is_refused and place = $place group by all
    )
    select
        row_number() over (
            order by operation <> 'remove', refused_before is not null, row_key, identifiers
        ) - 1 as ordinal,
        refused_before is not null as was_refused,
        operation, row_key, profile_id, fields, coalesce(sent_identifiers, identifiers) as identifiers, payload_hash,
        consent_message_id, idempotency_key,
        coalesce(attempts, 0) + 1 as attempt
    from keyed left join attempts using (idempotency_key)
    left join refusals using (row_key, identifiers, alone, payload_hash)
"""

# removed: entries whose row does not come back under other identifiers. elsewhere: what other places hold.
COUNTS = """
    select
        (
            select count(*) from planned
            where operation = 'remove' and row_key not in (select row_key from planned where operation <> 'remove')
        ),
        (select count(*) from wanted where not allowed),
        (select count(*) from wanted where allowed and place_in_line > 1),
        (select count(*) from wanted),
        (select count(*) from latest where operation <> 'remove' and place = $place),
        (select count(*) from entries where place <> $place)
"""

WITHHELD = """
    select withheld_reason, count(*) from wanted where not allowed group by withheld_reason order by withheld_reason
"""
