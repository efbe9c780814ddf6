{{ config(materialized='view') }}

with build as (

    select computed_indicators
    from {{ source('control', 'build') }}
    order by build_seq desc
    limit 1

)

select
    symbol,
    interval,
    ts,
    {% for name in [
        'sma_20',
        'sma_50',
        'ema_12',
        'ema_26',
        'rsi_14',
        'macd',
        'macd_signal',
        'macd_histogram',
        'bollinger_upper_20',
        'bollinger_lower_20',
        'atr_14',
        'volatility_20',
        'price_change_pct',
        'mean_volume_20',
    ] -%}
    case when contains(build.computed_indicators, '{{ name }}') then {{ name }} end as {{ name }},
    {% endfor -%}
    case when contains(build.computed_indicators, 'mean_volume_20') then prior_mean_volume_20 end as prior_mean_volume_20,
    change_seq
from {{ ref('int_indicator') }}
cross join build
