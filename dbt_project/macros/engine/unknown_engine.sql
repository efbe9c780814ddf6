{#- What every macro here answers on an engine that nobody thought of: a guess could be valid SQL and wrong. -#}
{% macro unknown_engine(macro_name) %}
{{ exceptions.raise_compiler_error(macro_name ~ ' is not written for ' ~ target.type ~ ': it is for duckdb, trino and athena') }}
{% endmacro %}
