{#-
A build of new bars is by the same project as the one before (`only_touched`): its columns are those of the tables, and were held to the contract
when these were made. dbt would ask the database a dozen times, at 10 ms each; of a model without a contract it is asked once, in its own words.
-#}
{% macro process_schema_changes(on_schema_change, source_relation, target_relation) -%}
    {%- if not var('only_touched', false) -%}
        {{ return(adapter.dispatch('process_schema_changes', 'dbt')(on_schema_change, source_relation, target_relation)) }}
    {%- endif -%}
    {%- set columns = [] -%}
    {%- if config.get('contract').enforced -%}
        {%- for column in model['columns'].values() -%}
            {%- do columns.append(api.Column.create(column['name'], column['data_type'])) -%}
        {%- endfor -%}
    {%- else -%}
        {%- for column in run_query('describe ' ~ target_relation) -%}
            {%- do columns.append(api.Column.create(column['column_name'], column['column_type'])) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro get_assert_columns_equivalent(sql) -%}
    {%- if not var('only_touched', false) -%}
        {{ adapter.dispatch('get_assert_columns_equivalent', 'dbt')(sql) }}
    {%- endif -%}
{%- endmacro %}
