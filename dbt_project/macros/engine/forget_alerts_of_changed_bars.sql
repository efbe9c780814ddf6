{#-
    A corrected bar may no longer fire: its alerts go before those it fires now are added. On DuckDB that is one transaction. Elsewhere a
    build that is killed in between leaves alerts out, and the next one adds them: what it goes by, the highest change_seq, is then lower.
-#}
{% macro forget_alerts_of_changed_bars(alerts, indicators) %}
{% if is_incremental() %}
{{ adapter.dispatch('forget_alerts_of_changed_bars')(alerts, indicators) }}
{% endif %}
{% endmacro %}

{% macro duckdb__forget_alerts_of_changed_bars(alerts, indicators) %}
delete from {{ alerts }} as alert
using {{ indicators }} as changed
where
    alert.symbol = changed.symbol
    and alert.interval = changed.interval
    and alert.ts = changed.ts
    and changed.change_seq > (select coalesce(max(change_seq), 0) from {{ alerts }})
{% endmacro %}

{% macro trino__forget_alerts_of_changed_bars(alerts, indicators) %}
delete from {{ alerts }}
where exists (
    select 1
    from {{ indicators }} as changed
    where
        changed.symbol = {{ alerts }}.symbol
        and changed.interval = {{ alerts }}.interval
        and changed.ts = {{ alerts }}.ts
        and changed.change_seq > (select coalesce(max(change_seq), 0) from {{ alerts }})
)
{% endmacro %}

{% macro athena__forget_alerts_of_changed_bars(alerts, indicators) %}
{{ trino__forget_alerts_of_changed_bars(alerts, indicators) }}
{% endmacro %}

{% macro default__forget_alerts_of_changed_bars(alerts, indicators) %}
{{ unknown_engine('forget_alerts_of_changed_bars') }}
{% endmacro %}
