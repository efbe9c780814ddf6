{# The aggregate that adds values one by one in an order: a sum over threads would round otherwise from run to run. #}
{% macro ordered_sum(value, order_by) %}{{ return(adapter.dispatch('ordered_sum')(value, order_by)) }}{% endmacro %}

{% macro duckdb__ordered_sum(value, order_by) %}
{{ return('list_reduce(list(' ~ value ~ ' order by ' ~ order_by ~ '), lambda total, addend: total + addend)') }}
{% endmacro %}

{% macro trino__ordered_sum(value, order_by) %}
{{ return('reduce(array_agg(' ~ value ~ ' order by ' ~ order_by ~ '), 0e0, (total, addend) -> total + addend, total -> total)') }}
{% endmacro %}

{% macro athena__ordered_sum(value, order_by) %}{{ return(trino__ordered_sum(value, order_by)) }}{% endmacro %}

{% macro default__ordered_sum(value, order_by) %}{{ unknown_engine('ordered_sum') }}{% endmacro %}
