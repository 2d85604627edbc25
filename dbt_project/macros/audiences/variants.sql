{# The variant of a member, as a column of an audience: {{ variant_of({'a': 45, 'b': 45, 'holdout': 10}) }} as variant. #}

{# `shares`: per variant a percentage with up to two decimals, which add up to 100; one of them may be 'rest'. A person's place
   from 0 to 9,999 is a hash of `salt` (the audience's name, where none is given) and profile_id, so that whatever else the
   audience asks for, they stay in their variant. In the order in which they are written, variants take up their share of the
   places: where shares change, only those move whose place a border passes. Another salt deals anew. #}
{% macro variant_of(shares, salt=none, people=none) -%}
    {%- set borders = cdp.variant_borders(shares) -%}
    {%- if execute and model.resource_type == 'model' and not cdp.is_split(model) -%}
        {{ cdp.refuse_condition('variant_of', 'the twin does not declare its column: add `- name: variant` with `data_type: text`'
            ~ ' to the columns of its .yml, and call it so in the select') }}
    {%- endif -%}
    {%- set person = people ~ '.profile_id' if people else 'profile_id' -%}
    {%- set cases -%}
        case
        {%- for name, border in borders %}
            {% if loop.last %}else{% else %}when place < {{ border }} then{% endif %} {{ cdp.text_literal(name) }}
        {%- endfor %}
        end
    {%- endset -%}
    {{ cdp.let('place', cdp.place_of(salt or this.identifier, person), cases) }}
{%- endmacro %}

{# A person's place from 0 to 9,999 under a salt. #}
{% macro place_of(salt, person) -%}
    {{ cdp.remainder(cdp.hash64(cdp.text_literal(salt ~ '|') ~ ' || ' ~ person), 10000) }}
{%- endmacro %}

{# [(variant, the first place that is behind it), …], in hundredths of a per cent. #}
{% macro variant_borders(shares) -%}
    {%- if shares is not mapping or shares | length < 2 -%}
        {{ cdp.refuse_condition('variant_of', "write two variants or more with their percentages: {'a': 50, 'b': 50}, not "
            ~ shares) }}
    {%- endif -%}
    {%- set places = {} -%}
    {%- set rest = [] -%}
    {%- for name, share in shares.items() -%}
        {%- set field = 'variant_of: ' ~ name -%}
        {%- if name is not string or not name | trim -%}
            {{ cdp.refuse_condition(field, 'a variant has a name: write a text') }}
        {%- elif share == 'rest' -%}
            {%- do rest.append(name) -%}
        {%- elif share is boolean or share is not number or share <= 0 -%}
            {{ cdp.refuse_condition(field, share ~ " is no percentage above 0: write one, or 'rest', or leave the variant out") }}
        {%- else -%}
            {%- set hundredths = (share * 100) | round | int -%}
            {%- if (share * 100 - hundredths) | abs > 0.000001 -%}
                {{ cdp.refuse_condition(field, share ~ ' has more than two decimals: write '
                    ~ hundredths / 100) }}
            {%- endif -%}
            {%- do places.update({name: hundredths}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set total = places.values() | sum -%}
    {%- set said = shares | string ~ ' adds up to ' ~ '%g' % (total / 100) ~ ' %' -%}
    {%- if rest | length > 1 -%}
        {{ cdp.refuse_condition('variant_of', rest | join(' and ') ~ " are both 'rest': give one of them a percentage") }}
    {%- elif rest and total >= 10000 -%}
        {{ cdp.refuse_condition('variant_of', said ~ ' and leaves nothing for ' ~ rest[0] ~ ': lower the others') }}
    {%- elif not rest and total != 10000 -%}
        {{ cdp.refuse_condition('variant_of', said ~ ": make it 100, or write 'rest' for one of the variants") }}
    {%- endif -%}
    {%- set borders = [] -%}
    {%- set taken = namespace(places=0) -%}
    {%- for name in shares -%}
        {%- set taken.places = taken.places + places.get(name, 10000 - total) -%}
        {%- do borders.append((name, taken.places)) -%}
    {%- endfor -%}
    {{ return(borders) }}
{%- endmacro %}
