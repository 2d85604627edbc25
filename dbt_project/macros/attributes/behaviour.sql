{# Nine scores of what people do, each a whole number from 0 to 100: where a person stands among all
   who did anything. docs/attributes.md has the formulas. #}

{# {name: what people are ranked by}. A week is 7 x 24 h back from the build's as_of. `whole`
   numbers are divided as doubles; each is exact, so that engines rank alike. #}
{% macro behaviour_measures() -%}
    {%- set whole = 'cast(1 as ' ~ cdp.type_double() ~ ') * ' -%}
    {{ return({
        'quantity': 'events',
        'frequency': 'days_12w',
        'recency': 'last_at',
        'intensity': whole ~ 'events / days',
        'momentum': whole ~ '(events_4w - events_before) / greatest(events_4w + events_before, 1)',
        'propensity': 'fading',
        'consistency': whole ~ 'weeks_12w / known_weeks',
        'maturity': cdp.seconds_between('first_at', 'last_at'),
        'volatility': whole ~ 'known_weeks * squares_12w'
            ~ ' / greatest(' ~ whole ~ 'events_12w * events_12w, 1)',
    }) }}
{%- endmacro %}

{# A row for each person with one of these events up to as_of: what says what a person does
   themselves (types, where, sources, as in count_of). Columns: quantity_score and so on. #}
{% macro behaviour_scores(event=none) -%}
{%- set kind, options = 'behaviour_scores', dict(kwargs) -%}
{%- for option in options if option in cdp.windows() + ['as', 'keep_emptied'] -%}
    {%- do cdp.refuse_attribute(
        kind, option ~ ' is no argument; there are types, where, sources. (Each score has its own '
        ~ 'window, and its own column.)'
    ) -%}
{%- endfor -%}
{%- if not event and not options.get('types') -%}
    {%- do options.update({'types': ['page', 'screen', 'track']}) -%}
{%- endif -%}
{%- set of = cdp.matching(kind, event, options, more=['sources']) -%}
{%- set days_ago = 'floor(' ~ cdp.seconds_between('happened_at', cdp.as_of()) ~ ' / 86400)' -%}
{%- set half = 'power(cast(0.5 as ' ~ cdp.type_double() ~ '), least(floor(weeks_ago / 4), 30))' -%}
select
    profile_id,
    {%- for name, measure in cdp.behaviour_measures().items() %}
    {{ cdp.percentile_score(measure, of='people') }} as {{ name }}_score{{ ',' if not loop.last }}
    {%- endfor %}
from (
    select
        profile_id,
        sum(week_events) as events,
        sum(week_days) as days,
        min(week_first_at) as first_at,
        max(week_last_at) as last_at,
        least(max(weeks_ago) + 1, 12) as known_weeks,
        count(case when weeks_ago < 12 then 1 end) as weeks_12w,
        coalesce(sum(case when weeks_ago < 12 then week_days end), 0) as days_12w,
        coalesce(sum(case when weeks_ago < 12 then week_events end), 0) as events_12w,
        coalesce(sum(case when weeks_ago < 12 then week_events * week_events end), 0)
            as squares_12w,
        coalesce(sum(case when weeks_ago < 4 then week_events end), 0) as events_4w,
        coalesce(sum(case when weeks_ago between 4 and 7 then week_events end), 0)
            as events_before,
        -- Halves of whole numbers add up to the same in any order.
        sum(week_events * {{ half }}) as fading,
        count(*) over () as people
    from (
        select
            profile_id,
            floor(days_ago / 7) as weeks_ago,
            sum(day_events) as week_events,
            count(*) as week_days,
            min(day_first_at) as week_first_at,
            max(day_last_at) as week_last_at
        from (
            select
                profile_id,
                days_ago,
                count(*) as day_events,
                min(happened_at) as day_first_at,
                max(happened_at) as day_last_at
            from (
                select
                    profile_id,
                    happened_at,
                    {{ days_ago }} as days_ago
                from (
                    {{ of.events }}
                ) as matching
            ) as dated
            group by profile_id, days_ago
        ) as days
        group by profile_id, floor(days_ago / 7)
    ) as weeks
    group by profile_id
) as measured
{%- endmacro %}
