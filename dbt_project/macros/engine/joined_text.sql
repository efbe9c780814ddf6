{# The aggregate that joins texts in an order, with a comma and a blank between them. #}
{% macro joined_text(value, order_by) %}{{ return(adapter.dispatch('joined_text')(value, order_by)) }}{% endmacro %}

{% macro duckdb__joined_text(value, order_by) %}{{ return("string_agg(" ~ value ~ ", ', ' order by " ~ order_by ~ ")") }}{% endmacro %}

{% macro trino__joined_text(value, order_by) %}
{{ return(
    "reduce(array_agg(" ~ value ~ " order by " ~ order_by ~ "), cast(null as varchar), "
    ~ "(text, part) -> coalesce(concat(text, ', ', part), part), text -> text)"
) }}
{% endmacro %}

{% macro athena__joined_text(value, order_by) %}{{ return(trino__joined_text(value, order_by)) }}{% endmacro %}

{% macro default__joined_text(value, order_by) %}{{ unknown_engine('joined_text') }}{% endmacro %}
