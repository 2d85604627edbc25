{# How a table is stored that only this build reads: hooks of large intermediate models. Compressing what is dropped by the
   next build would cost a fifth of the resolution. #}

{% macro written_for_this_build() -%}
    {{ return(adapter.dispatch('written_for_this_build', 'cdp')()) }}
{%- endmacro %}

{% macro default__written_for_this_build() -%}
{%- endmacro %}

{% macro duckdb__written_for_this_build() -%}
    set force_compression = 'uncompressed'
{%- endmacro %}

{% macro written_to_stay() -%}
    {{ return(adapter.dispatch('written_to_stay', 'cdp')()) }}
{%- endmacro %}

{% macro default__written_to_stay() -%}
{%- endmacro %}

{% macro duckdb__written_to_stay() -%}
    set force_compression = 'auto'
{%- endmacro %}

{# A hook after the last model that is written for one build, outside of its transaction: what the log still holds of them
   goes into the file here, uncompressed too, and not at dbt's end with everything else. #}
{% macro written_out() -%}
    {{ return(adapter.dispatch('written_out', 'cdp')()) }}
{%- endmacro %}

{% macro default__written_out() -%}
{%- endmacro %}

{# Not while other threads write, who would have it refused: the log goes into the file at dbt's end then. #}
{% macro duckdb__written_out() -%}
    {%- if target.threads == 1 -%}
    set force_compression = 'uncompressed';
    checkpoint;
    set force_compression = 'auto'
    {%- endif -%}
{%- endmacro %}
