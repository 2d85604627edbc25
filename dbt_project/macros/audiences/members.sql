{# An audience in terms of others: their members of this build, and the entries and exits that
   builds saw. #}

{% macro member_of(audience, people='people') -%}
    {{ people }}.profile_id in (
        select members.profile_id
        from {{ ref(audience) }} as members
        where members.profile_id is not null
    )
{%- endmacro %}

{% macro excluding(audience, people='people') -%}
    not {{ cdp.member_of(audience, people) }}
{%- endmacro %}

{# Who entered an audience in the last days or hours, whether they are still there or not. Entries
   and exits are observations of builds, not made from what landed: a warehouse that is built anew
   knows none from before. So the audience that asks for them gets the tag
   depends_on_observations. #}
{% macro entered_within(audience, days=none, hours=none, people='people') -%}
    {{ cdp.changed_within('entered', audience, days, hours, people) }}
{%- endmacro %}

{% macro exited_within(audience, days=none, hours=none, people='people') -%}
    {{ cdp.changed_within('exited', audience, days, hours, people) }}
{%- endmacro %}

{% macro changed_within(change, audience, days, hours, people) -%}
    {%- do config(tags=['depends_on_observations']) -%}
    {#- Not read, but built before: its entries of this build are in the log by then. (Of itself, an
       audience sees those of the builds before.) -#}
    {%- if audience != model.name -%}{%- do ref(audience) -%}{%- endif -%}
    {%- set window = cdp.hours_of(
        change ~ '_within ' ~ audience, 'the window',
        {'days': days} if hours is none else {'hours': hours}
    ) -%}
    {#- Who changes the variant leaves and enters in one build, and did neither. -#}
    {{ people }}.profile_id in (
        select changes.profile_id
        from {{ ref('changes') }} as changes
        where
            changes.audience = {{ cdp.text_literal(audience) }}
            and {{ cdp.happened('changes.' ~ cdp.column_name('at'), last_hours=window) }}
        group by changes.profile_id, changes.build_id
        having sum(case when changes.change = '{{ change }}' then 1 else -1 end) > 0
    )
{%- endmacro %}
