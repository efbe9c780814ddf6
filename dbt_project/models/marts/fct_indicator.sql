{{ config(materialized='view') }}

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
    price_basis,
    basis_open,
    basis_high,
    basis_low,
    basis_close,
    sma_20,
    sma_50,
    ema_12,
    rsi_14,
    volatility_20,
    price_change_pct,
    mean_volume_20,
    source,
    change_seq
from {{ ref('int_indicator') }}
