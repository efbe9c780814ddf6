{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='append_new_columns') }}

with pending as (

    select *
    from {{ source('landing', 'slot') }}
    {% if is_incremental() %}
    where slot_seq > (select coalesce(max(slot_seq), 0) from {{ this }})
    {% endif %}

),

-- A bar may lie in two files for a while: in its slot, and in the archive that replaces it. It is the same bar.
landed as (

    select
        bar.*,
        slot.topic_begun_at,
        slot.quarantine_key,
        slot.slot_seq,
        row_number() over (partition by bar.topic_id, bar."partition", bar."offset" order by bar."$path") as copy_number
    from {{ source('landing', 'landed_bar') }} as bar
    inner join pending as slot
        on
            slot.chain = concat('topic=', bar.topic, '/id=', bar.topic_id, '/partition=', cast(bar."partition" as varchar))
            and slot.position <= bar."offset"
            and slot.next_offset > bar."offset"

),

incarnation as (

    select
        regexp_extract(chain, '/id=([^/]+)/', 1) as topic_id,
        min(topic_begun_at) as begun_at
    from {{ source('landing', 'slot') }}
    group by 1

),

-- Rules are in the file's name: what other rules rejected lies in files that the slot does not name.
quarantined as (

    select
        regexp_extract("$path", 'quarantine/topic=.*') as quarantine_key,
        "offset"
    from {{ source('landing', 'quarantined_bar') }}

)

select
    bar.symbol,
    bar.interval,
    {{ at_utc('bar.ts') }} as ts,
    bar.open,
    bar.high,
    bar.low,
    bar.close,
    bar.adj_close,
    bar.volume,
    bar.source,
    {{ at_utc('bar.produced_at') }} as produced_at,
    bar.topic,
    bar.topic_id,
    bar."partition",
    bar."offset",
    {{ at_utc('bar.kafka_timestamp') }} as kafka_timestamp,
    bar.origin_topic_id,
    bar.origin_partition,
    bar.origin_offset,
    {{ at_utc('bar.origin_timestamp') }} as origin_timestamp,
    bar.topic_begun_at,
    case
        when bar.origin_topic_id is not null
            then coalesce(incarnation.begun_at, timestamp '1970-01-01 00:00:00.000000 UTC')
    end as origin_begun_at,
    bar.slot_seq,
    {{ build_seq() }} as change_seq
from landed as bar
left join incarnation on bar.origin_topic_id = incarnation.topic_id
left join quarantined
    on
        bar.quarantine_key = quarantined.quarantine_key
        and bar."offset" = quarantined."offset"
where
    bar.copy_number = 1
    and quarantined."offset" is null
