{#-
    Rows of control.restaged_bar or control.removed_row that the model has not seen: what builds noted since the last one that finished, and
    since the model's own rows were written.
-#}
{% macro unseen(table, rows) -%}
(
        select *
        from {{ source('control', table) }}
        where {{ is_unseen('change_seq', rows) }}
    )
{%- endmacro %}

{# Those of them that are bars that were there and are no more. #}
{% macro removed_bars(rows) -%}
(
        select symbol, interval, ts
        from {{ unseen('removed_row', rows) }} as removed
        where model in ('int_landed_bar', 'int_derived_bar')
    )
{%- endmacro %}

{#-
    Whether a row of that change_seq is one that the model has not seen: written since the last build that finished, and since the model's own
    rows were. By its own rows alone a model that seldom has one would read everything again.
-#}
{% macro is_unseen(change_seq, rows) -%}
{{ change_seq }} > (select coalesce(max(change_seq), 0) from {{ rows }})
        and {{ change_seq }} > (select coalesce(max(build_seq), 0) from {{ source('control', 'build') }} where finished_at is not null)
{%- endmacro %}
