{# The date at a place's clocks, a date; `zone` is an IANA name. #}
{% macro date_in_zone(ts, zone) %}{{ return(adapter.dispatch('date_in_zone')(ts, zone)) }}{% endmacro %}

{% macro duckdb__date_in_zone(ts, zone) %}{{ return('cast(timezone(' ~ zone ~ ', ' ~ ts ~ ') as date)') }}{% endmacro %}

{% macro trino__date_in_zone(ts, zone) %}{{ return('cast(at_timezone(' ~ ts ~ ', ' ~ zone ~ ') as date)') }}{% endmacro %}

{% macro athena__date_in_zone(ts, zone) %}{{ return(trino__date_in_zone(ts, zone)) }}{% endmacro %}

{% macro default__date_in_zone(ts, zone) %}{{ unknown_engine('date_in_zone') }}{% endmacro %}

{# 00:00 UTC of a date. DuckDB's session is in UTC. #}
{% macro utc_midnight(date) %}{{ return(adapter.dispatch('utc_midnight')(date)) }}{% endmacro %}

{% macro duckdb__utc_midnight(date) %}{{ return('cast(cast(' ~ date ~ ' as timestamp) as timestamptz)') }}{% endmacro %}

{% macro trino__utc_midnight(date) %}{{ return("with_timezone(cast(" ~ date ~ " as timestamp(6)), 'UTC')") }}{% endmacro %}

{% macro athena__utc_midnight(date) %}{{ return(trino__utc_midnight(date)) }}{% endmacro %}

{% macro default__utc_midnight(date) %}{{ unknown_engine('utc_midnight') }}{% endmacro %}
