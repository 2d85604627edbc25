"""Seeded events for benchmarks: N/20 people with 1-4 cookies, 0-2 e-mails, some devices and customer numbers; most events
carry one identifier; 2 % exact repeats, some junk values, one kiosk with 5,000 e-mails, one chain of 1,000 identifiers."""

from collections.abc import Iterator

import duckdb

from cdp_orchestration.landing import Page, Record

PAGE = 50_000

EVENTS = """
with drawn as (
    select
        i,
        hash(i, 'person') % greatest({n} // 20, 1000) as person,
        hash(i, 'kind') % 1000 as kind,
        hash(i, 'cookie') as cookie,
        hash(i, 'identified') % 100 as identified,
        hash(i, 'junk') % 1000 as junk
    from range({start}, {stop}) as numbers(i)
),
shaped as (
    select
        i,
        person,
        case when kind < 380 then 'page' when kind < 440 then 'identify' else 'track' end as type,
        case
            when kind < 640 then 'Product Viewed' when kind < 740 then 'Trip Searched' when kind < 820 then 'Product Added'
            when kind < 860 then 'Order Completed' else 'Logged In'
        end as event,
        'a-' || hash(person * 8 + cookie % (1 + person % 4)) as anonymous_id,
        case when identified < 15 and person % 20 < 9 then 'C' || hash(person) end as user_id,
        case
            when junk < 4 then ['null', 'unknown', '0000'][(1 + junk % 3)::int]
            when identified between 8 and 22 and person % 20 < 13 then 'u' || hash(person * 4 + cookie % 2) || '@mail.example'
        end as email,
        case when identified > 92 then 'd-' || hash(person * 4 + cookie % 2) end as device_id,
        timestamp '2026-07-01' + interval (i * 90.0 * 86400 / {n}) second as happened_at
    from drawn
)
select
    '{{"type":"' || type || '","messageId":"m' || case when i % 50 = 49 then i - 1 else i end
    || '","anonymousId":"' || anonymous_id || '"'
    || case when user_id is not null then ',"userId":"' || user_id || '"' else '' end
    || case when type = 'track' then ',"event":"' || event || '"' when type = 'page' then ',"name":"Trip"' else '' end
    || case when type = 'identify' then ',"traits":{{' || case when email is not null
        then '"email":"' || email || '",' else '' end || '"country":"PT"}}' else '' end
    || ',"properties":{{"path":"/p/' || hash(i, 'path') % 20000 || '","destination":"Town ' || hash(i, 'town') % 40
    || '","total":' || hash(i, 'total') % 500 || '.50}}'
    || ',"context":{{' || case when device_id is not null
        then '"device":{{"id":"' || device_id || '","type":"android"}},' else '' end
    || '"traits":{{' || case when email is not null and type <> 'identify' then '"email":"' || email || '"' else '' end || '}}}}'
    || ',"timestamp":"' || strftime(happened_at, '%Y-%m-%dT%H:%M:%S.%gZ') || '","receivedAt":"' || strftime(happened_at, '%Y-%m-%dT%H:%M:%S.%gZ')
    || '"}}' as payload
from shaped
"""

SPECIALS = """
select '{"type":"track","event":"Logged In","messageId":"k' || i || '","context":{"device":{"id":"hub","type":"ios"},"traits":{"email":"k'
    || i || '@mail.example"}},"timestamp":"2026-08-01T00:00:00Z"}' as payload
from range(5000) as kiosk(i)
union all
select '{"type":"track","event":"Logged In","messageId":"c' || i || '","anonymousId":"chain-' || i
    || '","context":{"externalIds":[{"id":"chain-' || (i + 1) || '","type":"anonymous_id"}]},"timestamp":"2026-08-02T00:00:00Z"}'
from range(1000) as chain(i)
"""


def pages(total: int, start: int, stop: int, specials: bool = False) -> Iterator[Page]:
    """Events start..stop of a stream of `total`, as landing pages."""
    connection = duckdb.connect()
    for sql in [EVENTS.format(n=total, start=start, stop=stop)] + ([SPECIALS] if specials else []):
        cursor = connection.execute(sql)
        while rows := cursor.fetchmany(PAGE):
            yield Page([Record(payload, file="bench.jsonl") for (payload,) in rows], {})
