{{ config(materialized='view') }}

select
    symbol,
    name,
    kind,
    exchange,
    mic,
    country,
    currency,
    time_zone
from {{ ref('instrument') }}
