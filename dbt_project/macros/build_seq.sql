{% macro build_seq() -%}
    (select max(build_seq) from {{ source('control', 'build') }})
{%- endmacro %}
