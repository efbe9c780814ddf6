{# Microseconds from 1970 to a moment, a bigint. #}
{% macro epoch_us(moment) %}{{ return(adapter.dispatch('epoch_us')(moment)) }}{% endmacro %}

{% macro duckdb__epoch_us(moment) %}{{ return('epoch_us(' ~ moment ~ ')') }}{% endmacro %}

{% macro trino__epoch_us(moment) %}{{ return('cast(round(to_unixtime(' ~ moment ~ ') * 1e6) as bigint)') }}{% endmacro %}

{% macro athena__epoch_us(moment) %}{{ return(trino__epoch_us(moment)) }}{% endmacro %}

{% macro default__epoch_us(moment) %}{{ unknown_engine('epoch_us') }}{% endmacro %}
