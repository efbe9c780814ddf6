{#-
    Rows whose parent's row of the same key changed may no longer hold: an alert that a corrected bar no longer raises, a derived bar that a landed
    one beats. They go before the model looks at what it holds. On DuckDB that is one transaction. Elsewhere a build that is killed
    in between leaves them out, and the next one adds them: what it goes by, the highest change_seq, is then lower.
-#}
{% macro forget_changed_rows(rows, parent) %}
{% if is_incremental() %}
{{ adapter.dispatch('forget_changed_rows')(rows, parent) }}
{% endif %}
{% endmacro %}

{% macro duckdb__forget_changed_rows(rows, parent) %}
insert into {{ source('control', 'removed_row') }} (model, symbol, interval, ts, change_seq)
select distinct '{{ rows.identifier }}', stored.symbol, stored.interval, stored.ts, {{ build_seq() }}
from {{ rows }} as stored
inner join {{ parent }} as changed
    on
        stored.symbol = changed.symbol
        and stored.interval = changed.interval
        and stored.ts = changed.ts
where changed.change_seq > (select coalesce(max(change_seq), 0) from {{ rows }})
;
delete from {{ rows }} as stored
using {{ parent }} as changed
where
    stored.symbol = changed.symbol
    and stored.interval = changed.interval
    and stored.ts = changed.ts
    and changed.change_seq > (select coalesce(max(change_seq), 0) from {{ rows }})
{% endmacro %}

{% macro trino__forget_changed_rows(rows, parent) %}
delete from {{ rows }}
where exists (
    select 1
    from {{ parent }} as changed
    where
        changed.symbol = {{ rows }}.symbol
        and changed.interval = {{ rows }}.interval
        and changed.ts = {{ rows }}.ts
        and changed.change_seq > (select coalesce(max(change_seq), 0) from {{ rows }})
)
{% endmacro %}

{% macro athena__forget_changed_rows(rows, parent) %}
{{ trino__forget_changed_rows(rows, parent) }}
{% endmacro %}

{% macro default__forget_changed_rows(rows, parent) %}
{{ unknown_engine('forget_changed_rows') }}
{% endmacro %}
