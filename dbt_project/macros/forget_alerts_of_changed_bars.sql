{#- A corrected bar may no longer fire: its alerts go before those it fires now are added, in the same transaction. -#}
{% macro forget_alerts_of_changed_bars(alerts, indicators) %}
{% if is_incremental() %}
delete from {{ alerts }} as alert
using {{ indicators }} as changed
where
    alert.symbol = changed.symbol
    and alert.interval = changed.interval
    and alert.ts = changed.ts
    and changed.change_seq > (select coalesce(max(change_seq), 0) from {{ alerts }})
{% endif %}
{% endmacro %}
