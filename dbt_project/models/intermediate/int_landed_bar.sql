{{ config(
    materialized='incremental',
    incremental_strategy=replacing_strategy(),
    unique_key=['symbol', 'interval', 'ts'],
) }}

{%- set columns = [
    'symbol', 'interval', 'ts', 'open', 'high', 'low', 'close', 'adj_close', 'volume', 'price_basis', 'basis_open', 'basis_high',
    'basis_low', 'basis_close', 'source', 'produced_at', 'topic', 'topic_id', '"partition"', '"offset"', 'kafka_timestamp',
    'topic_begun_at', 'origin_topic_id', 'origin_partition', 'origin_offset', 'origin_timestamp', 'origin_begun_at',
] -%}

with {% if is_incremental() -%}

-- Bars whose messages were read again: all that are staged of them decide anew, and what is stored has no say.
restaged as (

    select distinct symbol, interval, ts
    from {{ unseen('restaged_bar', this) }} as unseen

),

{% endif -%}

landed as (

    select * from {{ ref('stg_bar') }} as bar
    {% if is_incremental() %}
    where
        change_seq > (select coalesce(max(change_seq), 0) from {{ this }})
        and not exists (
            select 1
            from restaged
            where restaged.symbol = bar.symbol and restaged.interval = bar.interval and restaged.ts = bar.ts
        )

    union all

    select bar.*
    from {{ ref('stg_bar') }} as bar
    inner join restaged
        on
            bar.symbol = restaged.symbol
            and bar.interval = restaged.interval
            and bar.ts = restaged.ts
    {% endif %}

),

replayed as (

    select
        slot_seq, topic_id, "partition", "offset",
        origin_topic_id, origin_partition, origin_offset
    from {{ ref('stg_bar') }}
    where origin_topic_id is not null

),

same_place as (

    select * from replayed

    union all

    select
        slot_seq, topic_id, "partition", "offset",
        topic_id as origin_topic_id, "partition" as origin_partition, "offset" as origin_offset
    from {{ ref('stg_bar') }} as bar
    where exists (
        select 1
        from replayed
        where
            replayed.origin_topic_id = bar.topic_id
            and replayed.origin_partition = bar."partition"
            and replayed.origin_offset = bar."offset"
    )

),

-- What came twice from one place, because it was replayed while an earlier replay was on its way, counts as staged first.
staged as (

    select
        topic_id,
        "partition",
        "offset",
        row_number() over (
            partition by origin_topic_id, origin_partition, origin_offset
            order by slot_seq, "offset"
        ) as nth_staged
    from same_place

),

counted as (

    select *
    from landed
    where not exists (
        select 1
        from staged
        where
            staged.nth_staged > 1
            and staged.topic_id = landed.topic_id
            and staged."partition" = landed."partition"
            and staged."offset" = landed."offset"
    )

),

disputed as (

    select symbol, interval, ts
    from counted
    group by symbol, interval, ts
    having count(*) > 1

),

-- Only what is disputed is put in order, and only those that lose are taken out: the rest streams through as it came.
in_line as (

    select
        counted.slot_seq,
        counted."offset",
        row_number() over (
            partition by counted.symbol, counted.interval, counted.ts
            order by ({{ place('counted') }}) desc
        ) as place_in_line
    from counted
    inner join disputed
        on
            counted.symbol = disputed.symbol
            and counted.interval = disputed.interval
            and counted.ts = disputed.ts

),

newest as (

    select *
    from counted
    where not exists (
        select 1
        from in_line
        where
            in_line.place_in_line > 1
            and in_line.slot_seq = counted.slot_seq
            and in_line."offset" = counted."offset"
    )

),

on_price_basis as (

    select
        symbol,
        interval,
        ts,
        open,
        high,
        low,
        close,
        adj_close,
        volume,
        case when adj_close is null then 'raw' else 'adjusted' end as price_basis,
        case when adj_close is null then open else open * (adj_close / close) end as basis_open,
        case when adj_close is null then high else high * (adj_close / close) end as basis_high,
        case when adj_close is null then low else low * (adj_close / close) end as basis_low,
        coalesce(adj_close, close) as basis_close,
        source,
        produced_at,
        topic,
        topic_id,
        "partition",
        "offset",
        kafka_timestamp,
        topic_begun_at,
        origin_topic_id,
        origin_partition,
        origin_offset,
        origin_timestamp,
        origin_begun_at
    from newest

)

{%- if is_incremental() %},

-- By its times alone most of what is stored is passed over; the join would read all between the first and the last of them.
stored as (

    select * from {{ this }}
    where ts in (select ts from on_price_basis)

)

-- A repeat that changes nothing moves the row's lineage and not its change_seq, so that nothing downstream is computed again.
select
    bar.*,
    case
        when
            stored.open = bar.open and stored.high = bar.high and stored.low = bar.low and stored.close = bar.close
            and stored.volume = bar.volume and stored.adj_close is not distinct from bar.adj_close
            and stored.basis_open = bar.basis_open and stored.basis_high = bar.basis_high and stored.basis_low = bar.basis_low
            and stored.basis_close = bar.basis_close
            and stored.source = bar.source
            then stored.change_seq
        else {{ build_seq() }}
    end as change_seq
from on_price_basis as bar
left join stored
    on
        bar.symbol = stored.symbol
        and bar.interval = stored.interval
        and bar.ts = stored.ts
left join restaged
    on
        bar.symbol = restaged.symbol
        and bar.interval = restaged.interval
        and bar.ts = restaged.ts
where
    stored.symbol is null
    or (restaged.symbol is null and ({{ place('bar') }}) >= ({{ place('stored') }}))
    or (
        restaged.symbol is not null
        and (
            {% for column in columns -%}
            bar.{{ column }} is distinct from stored.{{ column }}
            {%- if not loop.last %}
            or {% endif -%}
            {% endfor %}
        )
    )

union all

-- What nothing counts for any more goes.
select
    {% for column in columns -%}
    stored.{{ column }},
    {% endfor -%}
    cast(null as bigint) as change_seq
from {{ this }} as stored
inner join restaged
    on
        stored.symbol = restaged.symbol
        and stored.interval = restaged.interval
        and stored.ts = restaged.ts
where not exists (
    select 1
    from on_price_basis as bar
    where bar.symbol = stored.symbol and bar.interval = stored.interval and bar.ts = stored.ts
)

{% else %}

select *, {{ build_seq() }} as change_seq
from on_price_basis

{% endif %}
