{#-
What a generic test looks at. In a build of new bars, where `only_touched` is set, the rows of an incremental model at the times that this build
touched: whatever the new rows may clash with is among them, for every key here has its time. Elsewhere the whole table, as dbt has it.
-#}
{% macro get_where_subquery(relation) -%}
    {%- if not var('only_touched', false) -%}
        {{ return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) }}
    {%- endif -%}
    {%- set touched -%}
    (
        select *
        from {{ relation }}
        where ts in (
            select ts
            from {{ relation }}
            where change_seq > (select coalesce(max(build_seq), 0) from {{ source('control', 'build') }} where finished_at is not null)
        )
    )
    {%- endset -%}
    {{ return(touched) }}
{%- endmacro %}
