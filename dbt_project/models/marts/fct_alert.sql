{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_changed_rows(this, ref('int_indicator')) }}",
) }}

with rule as (

    select
        rule.rule,
        rule.severity,
        rule.severity_rank,
        rule.direction,
        coalesce(setting.threshold, rule.threshold) as threshold
    from {{ ref('alert_rule') }} as rule
    left join {{ source('control', 'alert_threshold') }} as setting
        on
            rule.rule = setting.rule
            and rule.severity = setting.severity

),

changed as (

    select
        indicator.symbol,
        indicator.interval,
        indicator.ts,
        bar.volume,
        indicator.price_change_pct,
        indicator.prior_mean_volume_20,
        indicator.rsi_14
    from {{ ref('int_chosen_indicator') }} as indicator
    inner join {{ ref('int_bar') }} as bar
        on
            indicator.symbol = bar.symbol
            and indicator.interval = bar.interval
            and indicator.ts = bar.ts
    where
        bar.is_closed
        {% if is_incremental() %}
        and indicator.change_seq > (select coalesce(max(change_seq), 0) from {{ this }})
        {% endif %}

),

measured as (

    select symbol, interval, ts, 'price_change' as rule, price_change_pct as value from changed
    union all
    select symbol, interval, ts, 'volume_spike', 100 * volume / nullif(prior_mean_volume_20, 0) from changed
    union all
    select symbol, interval, ts, 'rsi_overbought', rsi_14 from changed
    union all
    select symbol, interval, ts, 'rsi_oversold', rsi_14 from changed

),

fired as (

    select
        measured.*,
        rule.severity,
        rule.threshold,
        row_number() over (partition by symbol, interval, ts, measured.rule order by severity_rank desc) as nth_severe
    from measured
    inner join rule on measured.rule = rule.rule
    where
        case direction
            when 'above' then value > threshold
            when 'below' then value < threshold
            when 'either' then abs(value) > threshold
        end

)

select
    {{ dbt.hash("concat_ws('|', symbol, interval, cast(" ~ epoch_us('ts') ~ " as varchar), rule)") }} as alert_id,
    symbol,
    interval,
    ts,
    rule,
    severity,
    value,
    threshold,
    {{ build_seq() }} as change_seq
from fired
where nth_severe = 1
