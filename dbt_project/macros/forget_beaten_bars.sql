{#- A bar that landed since beats the one that was derived in its place: that one goes, before the model looks at what it holds. -#}
{% macro forget_beaten_bars(derived, landed) %}
{% if is_incremental() %}
delete from {{ derived }}
where exists (
    select 1
    from {{ landed }} as landed
    where
        landed.symbol = {{ derived }}.symbol
        and landed.interval = {{ derived }}.interval
        and landed.ts = {{ derived }}.ts
        and landed.change_seq > (select coalesce(max(change_seq), 0) from {{ derived }})
)
{% endif %}
{% endmacro %}
