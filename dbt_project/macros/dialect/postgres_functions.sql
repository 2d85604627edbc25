{# Functions that plain SQL on PostgreSQL lacks. Each gives what DuckDB's own gives; tests/test_postgres.py compares them.
   One that catches an error is `parallel unsafe`: PostgreSQL starts no subtransaction while it works in parallel. #}

{% macro postgres_functions() -%}
-- A text's first 64 bits of md5, in the byte order in which DuckDB reads them, less the last bit.
create or replace function landing.hash64(given text) returns bigint
language plpgsql immutable strict parallel safe as $$
declare
    digest text := md5(given);
begin
    return (('x' || substr(digest, 15, 2) || substr(digest, 13, 2) || substr(digest, 11, 2) || substr(digest, 9, 2)
        || substr(digest, 7, 2) || substr(digest, 5, 2) || substr(digest, 3, 2) || substr(digest, 1, 2))::bit(64)::bigint >> 1)
        & 9223372036854775807;
end $$;

-- 'object', 'array', 'scalar'; null where the text is not JSON. Text that cannot be JSON is told without an exception.
create or replace function landing.json_kind(given text) returns text
language plpgsql immutable strict parallel unsafe as $$
begin
    if given !~ '^\s*[{\["0-9tfn-]' then
        return null;
    end if;
    return case json_typeof(given::json) when 'object' then 'object' when 'array' then 'array' else 'scalar' end;
exception when others then
    return null;
end $$;

-- The hexadecimal digits of escapes in capitals.
create or replace function landing.json_quote(given text) returns text
language sql immutable strict parallel safe as $$
    select case
        when given ~ '[\x0b\x0e\x0f\x1a-\x1f]' then
            replace(replace(replace(replace(replace(replace(replace(replace(replace(cast(to_json(given) as text),
                '\u000b', '\u000B'), '\u000e', '\u000E'), '\u000f', '\u000F'), '\u001a', '\u001A'), '\u001b', '\u001B'),
                '\u001c', '\u001C'), '\u001d', '\u001D'), '\u001e', '\u001E'), '\u001f', '\u001F')
        else cast(to_json(given) as text)
    end
$$;

-- RFC 7396, in the order of DuckDB's json_merge_patch: what the base alone has, then what the patch sets.
create or replace function landing.json_patch(base json, patch json) returns json
language plpgsql immutable parallel safe as $$
begin
    if patch is null then
        return null;
    end if;
    if json_typeof(patch) <> 'object' then
        return patch;
    end if;
    if base is null or json_typeof(base) <> 'object' then
        base := '{}';
    end if;
    return (
        select ('{' || coalesce(string_agg(landing.json_quote(name) || ':' || value, ',' order by side, place), '') || '}')::json
        from (
            select kept.name, kept.value::text as value, 1 as side, kept.place
            from json_each(base) with ordinality as kept (name, value, place)
            where not exists (select 1 from json_object_keys(patch) as keys (name) where keys.name = kept.name)
            union all
            select laid.name, landing.json_patch(base -> laid.name, laid.value)::text as value, 2 as side, laid.place
            from json_each(patch) with ordinality as laid (name, value, place)
            where json_typeof(laid.value) <> 'null'
        ) as entries
    );
end $$;

-- As DuckDB's: what is laid over no object stays as it is.
create or replace function landing.json_merge(base json, patch json) returns json
language sql immutable strict parallel safe as $$
    select case
        when json_typeof(base) = 'object' and json_typeof(patch) = 'object' then landing.json_patch(base, patch) else patch
    end
$$;

create or replace function landing.try_numeric(given text) returns numeric
language plpgsql immutable strict parallel unsafe as $$
begin
    if given !~ '^\s*[+-]?([0-9]+(_[0-9]+)*\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$' then
        return null;
    end if;
    return replace(given, '_', '')::numeric;
exception when others then
    return null;
end $$;

create or replace function landing.try_money(given text) returns numeric(18, 2)
language plpgsql immutable strict parallel unsafe as $$
begin
    return landing.try_numeric(given)::numeric(18, 2);
exception when others then
    return null;
end $$;

create or replace function landing.try_bigint(given text) returns bigint
language plpgsql immutable strict parallel unsafe as $$
begin
    return round(landing.try_numeric(given))::bigint;
exception when others then
    return null;
end $$;

create or replace function landing.try_double(given text) returns double precision
language plpgsql immutable strict parallel unsafe as $$
begin
    if lower(trim(given)) in ('nan', 'inf', '-inf', '+inf', 'infinity', '-infinity', '+infinity') then
        return trim(given)::double precision;
    end if;
    return case when landing.try_numeric(given) is not null then replace(given, '_', '')::double precision end;
exception when others then
    return null;
end $$;

create or replace function landing.try_boolean(given text) returns boolean
language sql immutable strict parallel safe as $$
    select case
        when lower(given) in ('true', 't', 'yes', 'y', '1') then true
        when lower(given) in ('false', 'f', 'no', 'n', '0') then false
    end
$$;

-- A text with an offset, Z or UTC is converted; a naive one is read in the zone. Null where it is no possible time.
create or replace function landing.try_utc(given text, zone text) returns timestamp
language plpgsql immutable strict parallel unsafe as $$
declare
    parts text[];
    moment timestamp;
begin
    -- 1 date, 2 hour and minute, 3 seconds, 4 fraction, 5 zone. The fraction is cut to microseconds, not rounded.
    parts := regexp_match(given, '^\s*((?:19|2[01])[0-9]{2}-[0-9]{1,2}-[0-9]{1,2})'
        '(?:[T ]([0-9]{1,2}:[0-9]{0,2})(?::(?:([0-9]{1,2})(\.[0-9]*)?)?)?)?(Z| UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?\s*$');
    if parts is null or (parts[2] is null and parts[5] is not null) then
        return null;
    end if;
    if split_part(coalesce(parts[2], '0'), ':', 1)::int > 24 or coalesce(parts[3], '0')::int > 59 then
        return null;
    end if;
    moment := (parts[1] || ' ' || coalesce(parts[2], '00:00') || case when parts[2] like '%:' then '00' else '' end
        || ':' || coalesce(parts[3], '00')
        || coalesce(nullif(left(parts[4], 7), '.'), ''))::timestamp;
    if parts[5] is null or parts[2] !~ '^[0-9]{2}:[0-9]{2}$' then
        return case when zone = 'UTC' then moment else (moment at time zone zone) at time zone 'UTC' end;
    end if;
    if parts[5] in ('Z', ' UTC') then
        return moment;
    end if;
    return moment - make_interval(
        hours => left(parts[5], 3)::int,
        mins => (left(parts[5], 1) || coalesce(nullif(right(replace(parts[5], ':', ''), -3), ''), '0'))::int
    );
exception when others then
    return null;
end $$;
{%- endmacro %}
