{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail') }}

-- depends_on: {{ ref('stg_bar') }}

with pending as (

    select *
    from {{ source('landing', 'slot') }}
    where
        quarantine_key is not null
        {% if is_incremental() %}
        and slot_seq > (select coalesce(max(slot_seq), 0) from {{ this }})
        {% endif %}

)

select
    bar.symbol,
    bar.interval,
    {{ at_utc('bar.ts') }} as ts,
    bar.reasons as broken_rules,
    bar.topic_id,
    bar."partition",
    bar."offset",
    slot.slot_seq,
    {{ build_seq() }} as change_seq
from {{ source('landing', 'quarantined_bar') }} as bar
inner join pending as slot on slot.quarantine_key = regexp_extract(bar."$path", 'quarantine/topic=.*')
