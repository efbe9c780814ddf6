{{ config(materialized='view') }}

{%- set columns = [
    'symbol', 'interval', 'ts', 'open', 'high', 'low', 'close', 'adj_close', 'volume',
    'price_basis', 'basis_open', 'basis_high', 'basis_low', 'basis_close', 'source',
] | join(', ') %}

select {{ columns }}, cast(null as varchar) as derived_from, true as is_closed, change_seq
from {{ ref('int_landed_bar') }}

union all

select {{ columns }}, derived_from, is_closed, change_seq
from {{ ref('int_derived_bar') }}
