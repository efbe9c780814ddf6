{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook=["{{ forget_removed_rows(this) }}", "{{ forget_changed_rows(this, ref('int_indicator')) }}"],
) }}

with moved as (

    select
        bar.symbol,
        bar.interval,
        bar.ts,
        1 + indicator.price_change_pct / 100 as close_factor,
        bar.open / bar.close * (1 + indicator.price_change_pct / 100) as open_factor
    from {{ ref('int_indicator') }} as indicator
    inner join {{ ref('int_bar') }} as bar
        on
            indicator.symbol = bar.symbol
            and indicator.interval = bar.interval
            and indicator.ts = bar.ts
    where
        bar.is_closed
        and bar.price_basis = 'raw'
        -- No factor is nearer to 1, so that hardly any bar is compared with the ratios.
        and abs(indicator.price_change_pct) > 25
        {% if is_incremental() %}
        and {{ is_unseen('indicator.change_seq', this) }}
        {% endif %}

),

suspected as (

    select
        moved.*,
        ratio.ratio,
        ratio.price_factor,
        row_number() over (
            partition by moved.symbol, moved.interval, moved.ts
            order by abs(moved.close_factor / ratio.price_factor - 1), ratio.ratio
        ) as nth_near
    from moved
    inner join {{ ref('split_ratio') }} as ratio
        on
            abs(moved.close_factor / ratio.price_factor - 1) * 100 <= ratio.tolerance_pct
            and abs(moved.open_factor / ratio.price_factor - 1) * 100 <= ratio.tolerance_pct

)

select
    {{ dbt.hash("concat_ws('|', symbol, interval, cast(" ~ epoch_us('ts') ~ " as varchar), 'suspected_split')") }} as event_id,
    symbol,
    interval,
    ts,
    'suspected_split' as kind,
    ratio as detail,
    close_factor as value,
    price_factor as expected_value,
    {{ build_seq() }} as change_seq
from suspected
where nth_near = 1
