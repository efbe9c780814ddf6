{#-
    Bars that were there and are no more leave no row to replace what a model holds of them: it goes before the model looks at what it holds.
-#}
{% macro forget_removed_rows(rows) %}
{% if is_incremental() %}
{{ adapter.dispatch('forget_removed_rows')(rows) }}
{% endif %}
{% endmacro %}

{% macro duckdb__forget_removed_rows(rows) %}
insert into {{ source('control', 'removed_row') }} (model, symbol, interval, ts, change_seq)
select distinct '{{ rows.identifier }}', stored.symbol, stored.interval, stored.ts, {{ build_seq() }}
from {{ rows }} as stored
inner join {{ removed_bars(rows) }} as removed
    on
        stored.symbol = removed.symbol
        and stored.interval = removed.interval
        and stored.ts = removed.ts
;
delete from {{ rows }} as stored
using {{ removed_bars(rows) }} as removed
where
    stored.symbol = removed.symbol
    and stored.interval = removed.interval
    and stored.ts = removed.ts
{% endmacro %}

{% macro trino__forget_removed_rows(rows) %}
delete from {{ rows }}
where exists (
    select 1
    from {{ removed_bars(rows) }} as removed
    where
        removed.symbol = {{ rows }}.symbol
        and removed.interval = {{ rows }}.interval
        and removed.ts = {{ rows }}.ts
)
{% endmacro %}

{% macro athena__forget_removed_rows(rows) %}
{{ trino__forget_removed_rows(rows) }}
{% endmacro %}

{% macro default__forget_removed_rows(rows) %}
{{ unknown_engine('forget_removed_rows') }}
{% endmacro %}
