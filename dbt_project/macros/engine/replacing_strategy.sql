{#-
    How an incremental model replaces the rows it computed again. Trino and Athena have no transaction around two statements,
    and Athena no delete+insert: there it is one MERGE.
-#}
{% macro replacing_strategy() %}
{{ return(adapter.dispatch('replacing_strategy')()) }}
{% endmacro %}

{% macro duckdb__replacing_strategy() %}{{ return('replace_rows') }}{% endmacro %}

{% macro trino__replacing_strategy() %}{{ return('merge') }}{% endmacro %}

{% macro athena__replacing_strategy() %}{{ return(trino__replacing_strategy()) }}{% endmacro %}

{% macro default__replacing_strategy() %}{{ unknown_engine('replacing_strategy') }}{% endmacro %}
