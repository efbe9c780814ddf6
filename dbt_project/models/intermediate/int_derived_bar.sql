{{ config(
    materialized='incremental',
    incremental_strategy=replacing_strategy(),
    unique_key=['symbol', 'interval', 'ts'],
    pre_hook="{{ forget_changed_rows(this, ref('int_landed_bar')) }}",
) }}

{%- set trading_date -%}
case
            when bar.interval in ('1d', '1w') or instrument.time_zone is null then cast(bar.ts as date)
            else {{ date_in_zone('bar.ts', 'instrument.time_zone') }}
        end
{%- endset %}

{%- set landed -%}
select
        bar.*,
        {{ bar_seconds('bar.interval') }} as seconds,
        {{ trading_date }} as trading_date
    from {{ ref('int_landed_bar') }} as bar
    left join {{ ref('instrument') }} as instrument on bar.symbol = instrument.symbol
{%- endset %}

with target as (

    {% for interval in ['5m', '1h', '1d', '1w'] -%}
    select '{{ interval }}' as interval, {{ bar_seconds("'" ~ interval ~ "'") }} as seconds
    from {{ source('control', 'build') }}
    where build_seq = {{ build_seq() }} and contains(derived_intervals, '{{ interval }}')
    {%- if not loop.last %}

    union all

    {% endif -%}
    {% endfor %}

),

{% if is_incremental() -%}

removed as (

    select symbol, interval, ts
    from {{ removed_bars(this) }} as removed

),

-- Bars to compute again and to compare, and bars that are no more, count as changed: their buckets may be others now.
restaged as (

    select symbol, interval, ts
    from {{ unseen('restaged_bar', this) }} as restaged

    union

    select symbol, interval, ts from removed

),

changed as (

    select symbol, interval, ts, seconds, trading_date
    from (
        {{ landed }}
        where bar.change_seq > (select coalesce(max(change_seq), 0) from {{ this }})
    ) as bar

    union all

    select
        bar.symbol,
        bar.interval,
        bar.ts,
        {{ bar_seconds('bar.interval') }} as seconds,
        {{ trading_date }} as trading_date
    from restaged as bar
    left join {{ ref('instrument') }} as instrument on bar.symbol = instrument.symbol

),

newest_left as (

    select landed_bar.symbol, landed_bar.interval, max(landed_bar.ts) as ts
    from {{ ref('int_landed_bar') }} as landed_bar
    where exists (
        select 1
        from removed
        where removed.symbol = landed_bar.symbol and removed.interval = landed_bar.interval
    )
    group by landed_bar.symbol, landed_bar.interval

),

-- Besides those that a changed bar falls into, those that a later bar may have closed.
touched as (

    select
        changed.symbol,
        target.interval,
        {{ bucket_start('target.interval', 'changed.ts', 'changed.trading_date') }} as ts
    from changed
    inner join target on changed.seconds < target.seconds

    union

    select symbol, interval, ts
    from {{ this }} as stored
    where
        not is_closed
        and exists (
            select 1
            from changed
            where changed.symbol = stored.symbol and changed.interval = stored.derived_from
        )

    union

    -- A landed bar that is no more may have stood before a derived one.
    select removed.symbol, removed.interval, removed.ts
    from removed
    inner join target on removed.interval = target.interval

    union

    -- Where the newest bars are no more, bars that these had closed are open again.
    select stored.symbol, stored.interval, stored.ts
    from {{ this }} as stored
    inner join newest_left
        on
            stored.symbol = newest_left.symbol
            and stored.derived_from = newest_left.interval
            and stored.ts > newest_left.ts - interval '16' day

),

-- No exchange's clock is a day off UTC, so all bars of the buckets are within.
near as (

    {{ landed }}
    where
        bar.ts >= (select min(ts) from touched) - interval '1' day
        and bar.ts < (select max(ts) from touched) + interval '8' day
        and bar.symbol in (select symbol from touched)

),

{% else -%}

near as (

    {{ landed }}

),

{% endif -%}

in_bucket as (

    select
        near.*,
        target.interval as target,
        {{ bucket_start('target.interval', 'near.ts', 'near.trading_date') }} as bucket
    from near
    inner join target on near.seconds < target.seconds

),

folded as (

    select
        symbol,
        target as interval,
        bucket as ts,
        interval as derived_from,
        min(seconds) as seconds,
        min_by(open, ts) as open,
        max(high) as high,
        min(low) as low,
        max_by(close, ts) as close,
        max_by(adj_close, ts) as adj_close,
        {{ ordered_sum('volume', 'ts') }} as volume,
        min(case when price_basis = 'adjusted' then 1 else 0 end) = 1 as is_adjusted,
        min_by(basis_open, ts) as basis_open,
        max(basis_high) as basis_high,
        min(basis_low) as basis_low,
        max_by(basis_close, ts) as basis_close,
        max_by(source, ts) as source
    from in_bucket
    {%- if is_incremental() %}
    where exists (
        select 1
        from touched
        where touched.symbol = in_bucket.symbol and touched.interval = in_bucket.target and touched.ts = in_bucket.bucket
    )
    {%- endif %}
    group by symbol, target, bucket, interval

),

by_fineness as (

    select
        *,
        row_number() over (partition by symbol, interval, ts order by seconds) as fineness
    from folded

),

newest as (

    select symbol, interval, max(ts) as ts
    from {{ ref('int_landed_bar') }}
    {%- if is_incremental() %}
    where ts >= (select min(ts) from touched) - interval '1' day
    {%- endif %}
    group by symbol, interval

),

reached as (

    select
        bar.symbol,
        bar.interval,
        bar.ts + {{ bar_seconds('bar.interval') }} * interval '1' second as end_at,
        {{ trading_date }} as trading_date
    from newest as bar
    left join {{ ref('instrument') }} as instrument on bar.symbol = instrument.symbol

),

derived as (

    select
        bar.symbol,
        bar.interval,
        bar.ts,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        case when bar.is_adjusted then bar.adj_close end as adj_close,
        bar.volume,
        case when bar.is_adjusted then 'adjusted' else 'raw' end as price_basis,
        case when bar.is_adjusted then bar.basis_open else bar.open end as basis_open,
        case when bar.is_adjusted then bar.basis_high else bar.high end as basis_high,
        case when bar.is_adjusted then bar.basis_low else bar.low end as basis_low,
        case when bar.is_adjusted then bar.basis_close else bar.close end as basis_close,
        bar.source,
        bar.derived_from,
        -- Within a day an exchange does not trade to its end: only a bar of a later trading date says that the day is over.
        case
            when bar.interval in ('1d', '1w') and bar.seconds < 86400
                then {{ utc_midnight('reached.trading_date') }}
            else reached.end_at
        end >= bar.ts + {{ bar_seconds('bar.interval') }} * interval '1' second as is_closed
    from by_fineness as bar
    inner join reached
        on
            bar.symbol = reached.symbol
            and bar.derived_from = reached.interval
    where
        bar.fineness = 1
        and not exists (
            select 1
            from {{ ref('int_landed_bar') }} as landed_bar
            where
                landed_bar.symbol = bar.symbol
                and landed_bar.interval = bar.interval
                and landed_bar.ts = bar.ts
                {%- if is_incremental() %}
                and landed_bar.ts >= (select min(ts) from touched)
                {%- endif %}
        )

)

select
    derived.*,
    {{ build_seq() }} as change_seq
from derived

{%- if is_incremental() %}

where not exists (
    select 1
    from {{ this }} as stored
    where
        stored.symbol = derived.symbol
        and stored.interval = derived.interval
        and stored.ts = derived.ts
        and stored.open = derived.open
        and stored.high = derived.high
        and stored.low = derived.low
        and stored.close = derived.close
        and stored.adj_close is not distinct from derived.adj_close
        and stored.volume = derived.volume
        and stored.price_basis = derived.price_basis
        and stored.basis_open = derived.basis_open
        and stored.basis_high = derived.basis_high
        and stored.basis_low = derived.basis_low
        and stored.basis_close = derived.basis_close
        and stored.source = derived.source
        and stored.derived_from = derived.derived_from
        and stored.is_closed = derived.is_closed
        and stored.ts >= (select min(ts) from touched)
)

union all

-- What no bar is left for goes.
select
    stored.symbol,
    stored.interval,
    stored.ts,
    stored.open,
    stored.high,
    stored.low,
    stored.close,
    stored.adj_close,
    stored.volume,
    stored.price_basis,
    stored.basis_open,
    stored.basis_high,
    stored.basis_low,
    stored.basis_close,
    stored.source,
    stored.derived_from,
    stored.is_closed,
    cast(null as bigint) as change_seq
from {{ this }} as stored
inner join touched
    on
        stored.symbol = touched.symbol
        and stored.interval = touched.interval
        and stored.ts = touched.ts
where not exists (
    select 1
    from derived
    where derived.symbol = stored.symbol and derived.interval = stored.interval and derived.ts = stored.ts
)

{%- endif %}

{{ in_order_of_time() }}
