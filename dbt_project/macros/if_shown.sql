{# The beginning of a case that is null unless settings show all of these indicators. #}
{% macro if_shown(names) -%}
case when {% for name in names %}contains(build.computed_indicators, '{{ name }}'){{ ' and ' if not loop.last }}{% endfor %} then
{%- endmacro %}
