{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['symbol', 'interval', 'ts'],
) }}

with landed as (

    select * from {{ ref('stg_bar') }}
    {% if is_incremental() %}
    where change_seq > (select coalesce(max(change_seq), 0) from {{ this }})
    {% endif %}

),

newest_landed as (

    select *
    from landed
    qualify row_number() over (
        partition by symbol, interval, ts
        order by topic_begun_at desc, kafka_timestamp desc, "partition" desc, "offset" desc
    ) = 1

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
        topic_begun_at
    from newest_landed

)

{% if is_incremental() %}

-- A repeat that changes nothing moves the row's lineage and not its change_seq, so that nothing downstream is computed again.
select
    bar.*,
    case
        when
            stored.open = bar.open and stored.high = bar.high and stored.low = bar.low and stored.close = bar.close
            and stored.volume = bar.volume and stored.adj_close is not distinct from bar.adj_close
            and stored.source = bar.source
            then stored.change_seq
        else {{ build_seq() }}
    end as change_seq
from on_price_basis as bar
left join {{ this }} as stored using (symbol, interval, ts)
where
    stored.symbol is null
    or (bar.topic_begun_at, bar.kafka_timestamp, bar."partition", bar."offset")
    >= (stored.topic_begun_at, stored.kafka_timestamp, stored."partition", stored."offset")

{% else %}

select *, {{ build_seq() }} as change_seq
from on_price_basis

{% endif %}
