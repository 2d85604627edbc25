{# Functions that plain SQL on PostgreSQL lacks. Each gives what DuckDB's own gives; tests/engines/test_postgres.py compares them.
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

-- RFC 7396, in the order of DuckDB's json_merge_patch: what the base alone has, then what the patch sets. It calls itself only
-- where it must: for objects that meet one, or that hold a null, which goes. (No workers for each level of it.)
create or replace function landing.json_patch(base json, patch json) returns json
language plpgsql immutable parallel safe set max_parallel_workers_per_gather = 0 as $$
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
            select
                laid.name,
                case
                    when json_typeof(laid.value) <> 'object' then laid.value::text
                    when base -> laid.name is null and position('null' in laid.value::text) = 0 then laid.value::text
                    else landing.json_patch(base -> laid.name, laid.value)::text
                end as value,
                2 as side,
                laid.place
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

-- What macros/dialect/timestamps.sql says of to_utc; `given` has no blanks around it.
create or replace function landing.try_utc(given text, zone text) returns timestamp
language plpgsql immutable strict parallel unsafe as $$
declare
    parts text[];
    moment timestamp;
begin
    -- Nearly every time is spelled as PostgreSQL itself reads it; taking a text apart costs a hundred times as much.
    if given ~ '^(?:19|2[01])[0-9]{2}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?'
            '(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])?$' then
        if given like '%Z' or substr(given, length(given) - 5, 1) in ('+', '-') then
            return given::timestamptz at time zone 'UTC';
        end if;
        moment := given::timestamp;
        return case when zone = 'UTC' then moment else (moment at time zone zone) at time zone 'UTC' end;
    end if;
    -- 1 year, 2 month, 3 day, 4 hour, 5 minute, 6 second, 7 fraction, 8 zone.
    parts := coalesce(
        regexp_match(given, '^((?:19|2[01])[0-9]{2})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt ]([01]?[0-9]|2[0-4]):([0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]+))?)?'
            '(?: ?(Z|z|UTC|[+-](?:0[0-9]|1[0-3])(?::?[0-5][0-9])?|[+-]14(?::?00)?))?)?$'),
        regexp_match(given, '^((?:19|2[01])[0-9]{2})([0-9]{2})([0-9]{2})(?:[Tt]([01][0-9]|2[0-4])([0-5][0-9])(?:([0-5][0-9])(?:[.,]([0-9]+))?)?'
            '(Z|z|UTC|[+-](?:0[0-9]|1[0-3])(?::?[0-5][0-9])?|[+-]14(?::?00)?)?)?$')
    );
    if parts is null then
        return case
            when given ~ '^-?([0-9]{9,10}|[0-9]{13}|(1[0-8]|2[2-9]|[03-9][0-9])[0-9]{10})([.][0-9]+)?$'
                then landing.epoch(split_part(given, '.', 1), split_part(given, '.', 2))
        end;
    end if;
    -- The fraction is cut to microseconds, not rounded.
    moment := (parts[1] || '-' || parts[2] || '-' || parts[3] || ' ' || coalesce(parts[4], '00') || ':' || coalesce(parts[5], '00')
        || ':' || coalesce(parts[6], '00') || coalesce('.' || left(parts[7], 6), ''))::timestamp;
    if parts[8] is null then
        return case when zone = 'UTC' then moment else (moment at time zone zone) at time zone 'UTC' end;
    end if;
    if upper(parts[8]) in ('Z', 'UTC') then
        return moment;
    end if;
    return moment - make_interval(
        hours => left(parts[8], 3)::int,
        mins => (left(parts[8], 1) || coalesce(nullif(right(replace(parts[8], ':', ''), -3), ''), '0'))::int
    );
exception when others then
    return null;
end $$;

-- Epoch seconds (up to 10 digits) or milliseconds as a time of the years 1900 to 2199.
create or replace function landing.epoch(whole text, fraction text) returns timestamp
language sql immutable strict parallel safe as $$
    select case when moment >= timestamp '1900-01-01' and moment < timestamp '2200-01-01' then moment end
    from (
        select timestamp 'epoch' + interval '1 microsecond' * case
            when length(ltrim(whole, '-')) <= 10 then whole || rpad(left(fraction, 6), 6, '0')
            else whole || rpad(left(fraction, 3), 3, '0')
        end::bigint as moment
    ) as told
$$;
{%- endmacro %}
