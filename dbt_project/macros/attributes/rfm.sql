{# Recency, frequency and monetary value: how lately, how often and for how much a person bought,
   each from 1 to 5 among all who did, and what such people are called. #}

{# Over any relation of purchases, one row each: rfm_of(ref('orders'), at='ordered_at',
   amount='amount_usd', where="status <> 'cancelled'"). `at` and `amount` are columns of it, `where`
   is SQL over them. What happens after the build's as_of does not count; a purchase without an
   amount brought nothing. #}
{% macro rfm_of(purchases, at, amount, where=none, person='profile_id') -%}
select scored.*
from (
    {{ cdp.rfm_scores(cdp.rfm_measures(purchases, at, amount, where, person)) }}
) as scored
{%- endmacro %}

{% macro rfm_measures(purchases, at, amount, where, person) -%}
(
    select
        {{ person }} as profile_id,
        max({{ at }}) as last_at,
        count(*) as times,
        coalesce({{ cdp.exact_sum(amount) }}, 0) as spent
    from {{ purchases }}
    where
        {{ person }} is not null
        and {{ cdp.happened(at) }}
        {%- if where %}
        and ({{ where }})
        {%- endif %}
    group by {{ person }}
)
{%- endmacro %}

{# Over a relation with one row per person that has been measured already: of a model or a CTE its
   name, and the columns that hold the last time, how often, and how much. #}
{% macro rfm_scores(measures, last_at='last_at', times='times', spent='spent') -%}
select
    profile_id,
    recency,
    frequency,
    monetary,
    {{ cdp.rfm_segment('recency', 'frequency') }} as rfm_segment
from (
    select
        profile_id,
        {{ cdp.quintile(last_at, of='people') }} as recency,
        {{ cdp.quintile(times, of='people') }} as frequency,
        {{ cdp.quintile(spent, of='people') }} as monetary
    from (
        select
            measures.*,
            count(*) over () as people
        from {{ measures }} as measures
    ) as counted
) as ranked
{%- endmacro %}

{# The usual names. #}
{% macro rfm_segment(recency, frequency) -%}
    case
        when {{ recency }} <= 2 and {{ frequency }} <= 2 then 'hibernating'
        when {{ recency }} <= 2 and {{ frequency }} <= 4 then 'at_risk'
        when {{ recency }} <= 2 then 'cannot_lose'
        when {{ recency }} = 3 and {{ frequency }} <= 2 then 'about_to_sleep'
        when {{ recency }} = 3 and {{ frequency }} = 3 then 'need_attention'
        when {{ recency }} <= 4 and {{ frequency }} >= 4 then 'loyal'
        when {{ recency }} = 4 and {{ frequency }} = 1 then 'promising'
        when {{ recency }} = 5 and {{ frequency }} = 1 then 'new'
        when {{ frequency }} <= 3 then 'potential_loyalist'
        else 'champion'
    end
{%- endmacro %}
