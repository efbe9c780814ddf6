{#-
The incremental strategy of SQL models on DuckDB: rows of the same key go, the new ones come, in one transaction. A row without a
change_seq only goes, and control.removed_row says so to those who read what is there and cannot see what is not.

delete+insert as dbt-duckdb has it joins on the key alone: DuckDB then reads all that lies between the first and the last ts to
replace, so one late bar costs a read of years. Few times are named one by one instead, and row groups without any are skipped.
-#}
{% macro get_incremental_replace_rows_sql(arg_dict) -%}
{%- set target, fresh, key = arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'] -%}
{%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
insert into {{ source('control', 'removed_row') }} (model, symbol, interval, ts, change_seq)
select '{{ target.identifier }}', symbol, interval, ts, {{ build_seq() }}
from {{ fresh }}
where change_seq is null
;
{% set times = run_query('select distinct ts from ' ~ fresh ~ ' limit 51').columns[0].values() -%}
delete from {{ target }} as stored
using {{ fresh }} as fresh
where
    {% for name in key -%}
    stored.{{ name }} = fresh.{{ name }}
    {{- ' and' if not loop.last }}
    {% endfor -%}
    {%- if times and times | length <= 50 -%}
    and stored.ts in ({% for ts in times %}timestamptz '{{ ts }}'{{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
;
insert into {{ target }} ({{ columns }})
select {{ columns }} from {{ fresh }}
where change_seq is not null
{%- endmacro %}
