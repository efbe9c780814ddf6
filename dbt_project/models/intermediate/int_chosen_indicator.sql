{{ config(materialized='view') }}

with build as (

    select computed_indicators, is_analytics_on
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
    {{ if_shown([name]) }} {{ name }} end as {{ name }},
    {% endfor -%}
    {{ if_shown(['mean_volume_20']) }} prior_mean_volume_20 end as prior_mean_volume_20,
    {{ if_shown(['sma_20', 'sma_50']) }} sma_cross end as sma_cross,
    {{ if_shown(['macd', 'macd_signal', 'macd_histogram']) }} macd_cross end as macd_cross,
    {{ if_shown(['bollinger_upper_20', 'bollinger_lower_20']) }} bollinger_break end as bollinger_break,
    case when build.is_analytics_on then prior_high_252 end as prior_high_252,
    case when build.is_analytics_on then prior_low_252 end as prior_low_252,
    change_seq
from {{ ref('int_indicator') }}
cross join build
