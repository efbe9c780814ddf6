{{ config(materialized='view') }}

select
    bar.symbol,
    bar.interval,
    bar.ts,
    bar.open,
    bar.high,
    bar.low,
    bar.close,
    bar.adj_close,
    bar.volume,
    bar.price_basis,
    bar.basis_open,
    bar.basis_high,
    bar.basis_low,
    bar.basis_close,
    indicator.sma_20,
    indicator.sma_50,
    indicator.ema_12,
    indicator.ema_26,
    indicator.rsi_14,
    indicator.macd,
    indicator.macd_signal,
    indicator.macd_histogram,
    indicator.bollinger_upper_20,
    indicator.bollinger_lower_20,
    indicator.atr_14,
    indicator.volatility_20,
    indicator.price_change_pct,
    indicator.mean_volume_20,
    bar.source,
    bar.derived_from,
    bar.is_closed,
    indicator.change_seq
from {{ ref('int_bar') }} as bar
inner join {{ ref('int_chosen_indicator') }} as indicator
    on
        bar.symbol = indicator.symbol
        and bar.interval = indicator.interval
        and bar.ts = indicator.ts
