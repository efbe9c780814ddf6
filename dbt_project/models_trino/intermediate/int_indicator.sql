{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['symbol', 'interval', 'ts'],
) }}

{% set carried_on = 'over (partition by symbol, interval order by ts rows unbounded preceding)' %}

with changed as (

    select symbol, interval, min(ts) as first_ts
    from {{ ref('int_bar') }}
    {% if is_incremental() %}
    where change_seq > (select coalesce(max(change_seq), 0) from {{ this }})
    {% endif %}
    group by symbol, interval

),

bar as (

    select
        bar.symbol,
        bar.interval,
        bar.ts,
        changed.first_ts,
        bar.basis_high as high,
        bar.basis_low as low,
        bar.basis_close as close,
        bar.volume,
        row_number() over series as bar_number,
        lag(bar.basis_close) over series as previous_close
    from {{ ref('int_bar') }} as bar
    inner join changed
        on
            bar.symbol = changed.symbol
            and bar.interval = changed.interval
    window series as (partition by bar.symbol, bar.interval order by bar.ts)

),

moved as (

    select
        *,
        close / previous_close - 1 as simple_return,
        greatest(close - previous_close, 0) as gain,
        greatest(previous_close - close, 0) as loss,
        greatest(high, previous_close) - least(low, previous_close) as true_range
    from bar

),

averaged as (

    select
        *,
        {{ exponential_mean('close', 'bar_number', 12) }} {{ carried_on }} as ema_12,
        {{ exponential_mean('close', 'bar_number', 26) }} {{ carried_on }} as ema_26,
        {{ exponential_mean('close', 'bar_number - 14', 12) }} {{ carried_on }} as macd_fast,
        {{ wilder_mean('gain', 'bar_number - 1') }} {{ carried_on }} as avg_gain,
        {{ wilder_mean('loss', 'bar_number - 1') }} {{ carried_on }} as avg_loss,
        {{ wilder_mean('true_range', 'bar_number - 1') }} {{ carried_on }} as atr_14
    from moved

),

signalled as (

    select
        *,
        {{ exponential_mean('macd_fast - ema_26', 'bar_number - 25', 9) }} {{ carried_on }} as macd_signal
    from averaged

),

windowed as (

    select
        *,
        {{ fresh_sum('close') }} over (series rows 19 preceding) / 20 as mean_close_20,
        {{ fresh_sum('close') }} over (series rows 49 preceding) / 50 as mean_close_50,
        stddev_pop(close) over (series rows 19 preceding) as spread_20,
        stddev_samp(simple_return) over (series rows 19 preceding) as return_spread_20,
        {{ fresh_sum('volume') }} over (series rows 19 preceding) / 20 as mean_volume,
        {{ fresh_sum('volume') }} over (series rows between 20 preceding and 1 preceding) / 20 as prior_mean_volume,
        max(high) over (series rows between 252 preceding and 1 preceding) as prior_high,
        min(low) over (series rows between 252 preceding and 1 preceding) as prior_low
    from signalled
    window series as (partition by symbol, interval order by ts)

),

sided as (

    select
        *,
        case when bar_number >= 50 then {{ side('mean_close_20', 'mean_close_50') }} end as sma_side,
        case when bar_number >= 34 then {{ side('macd_fast - ema_26 - macd_signal', '0') }} end as macd_side,
        case when bar_number >= 20 then {{ side('close', '(mean_close_20 + 2 * spread_20)') }} end as upper_side,
        case when bar_number >= 20 then {{ side('close', '(mean_close_20 - 2 * spread_20)') }} end as lower_side
    from windowed

),

crossed as (

    select
        *,
        {{ crossed('sma_side') }} as sma_cross,
        {{ crossed('macd_side') }} as macd_cross,
        {{ crossed('upper_side') }} as upper_cross,
        {{ crossed('lower_side') }} as lower_cross
    from sided
    window series as (partition by symbol, interval order by ts)

)

select
    symbol,
    interval,
    ts,
    case when bar_number >= 20 then mean_close_20 end as sma_20,
    case when bar_number >= 50 then mean_close_50 end as sma_50,
    case when bar_number >= 12 then ema_12 end as ema_12,
    case when bar_number >= 26 then ema_26 end as ema_26,
    case when bar_number >= 15 and avg_gain + avg_loss > 0 then 100 * (avg_gain / (avg_gain + avg_loss)) end as rsi_14,
    case when bar_number >= 34 then macd_fast - ema_26 end as macd,
    case when bar_number >= 34 then macd_signal end as macd_signal,
    case when bar_number >= 34 then macd_fast - ema_26 - macd_signal end as macd_histogram,
    case when bar_number >= 20 then mean_close_20 + 2 * spread_20 end as bollinger_upper_20,
    case when bar_number >= 20 then mean_close_20 - 2 * spread_20 end as bollinger_lower_20,
    case when bar_number >= 15 then atr_14 end as atr_14,
    case when bar_number >= 21 then return_spread_20 end as volatility_20,
    simple_return * 100 as price_change_pct,
    case when bar_number >= 20 then mean_volume end as mean_volume_20,
    case when bar_number >= 21 then prior_mean_volume end as prior_mean_volume_20,
    cast(sma_cross as tinyint) as sma_cross,
    cast(macd_cross as tinyint) as macd_cross,
    cast(case
        when upper_cross = 1 then 1
        when lower_cross = -1 then -1
        when upper_cross is not null then 0
    end as tinyint) as bollinger_break,
    case when interval = '1d' and bar_number >= 253 then prior_high end as prior_high_252,
    case when interval = '1d' and bar_number >= 253 then prior_low end as prior_low_252,
    bar_number,
    macd_fast,
    avg_gain,
    avg_loss,
    {{ build_seq() }} as change_seq
from crossed
-- Values before a series' first changed bar are what they were.
where ts >= first_ts
