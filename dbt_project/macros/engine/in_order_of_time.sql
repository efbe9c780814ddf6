{#-
The end of a model whose rows come in no order: they are stored in the order of ts, so that whoever asks for times passes over whatever has others.
DuckDB keeps the order in which rows come. On Trino and Athena the files' order is nothing to count on, and sorting costs.
-#}
{% macro in_order_of_time() %}{{ return(adapter.dispatch('in_order_of_time')()) }}{% endmacro %}

{% macro duckdb__in_order_of_time() %}{{ return('order by ts') }}{% endmacro %}

{% macro trino__in_order_of_time() %}{{ return('') }}{% endmacro %}

{% macro athena__in_order_of_time() %}{{ return(trino__in_order_of_time()) }}{% endmacro %}

{% macro default__in_order_of_time() %}{{ unknown_engine('in_order_of_time') }}{% endmacro %}
