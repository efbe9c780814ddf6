{# A time without a zone, which external tables have alone (Hive knows no other), as the moment in UTC that it means. #}
{% macro at_utc(time) -%}
cast(with_timezone({{ time }}, 'UTC') as timestamp(6) with time zone)
{%- endmacro %}
