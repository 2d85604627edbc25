{# What a build's meaning depends on besides its data: identity rules, catalogue, staging mappings. #}

{# md5 over the rules. cdp_orchestration/rules.py computes the same from the manifest, to know before a build
   whether it has to be a full one. #}
{% macro rules_fingerprint() -%}
    {%- set mappings = {} -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.schema in ('staging', 'identity') -%}
        {%- do mappings.update({node.name: node.checksum.checksum}) -%}
    {%- endfor -%}
    {{ return(local_md5(tojson(
        {'identity': var('identity'), 'catalogue': var('catalogue'), 'models': mappings}, sort_keys=true
    ))) }}
{%- endmacro %}
