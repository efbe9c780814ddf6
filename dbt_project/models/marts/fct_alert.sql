{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook=["{{ forget_removed_rows(this) }}", "{{ forget_changed_rows(this, ref('int_indicator')) }}"],
) }}

with rule as (

    select * from {{ ref('dim_alert_rule') }}
    where is_enabled

),

-- What is for one symbol takes the place of what is for every symbol, also where it is switched off.
own_rule as (

    select symbol, rule, severity
    from {{ ref('dim_alert_rule') }}
    where symbol <> '*'

),

changed as (

    select
        indicator.symbol,
        indicator.interval,
        indicator.ts,
        indicator.price_change_pct,
        100 * bar.volume / nullif(indicator.prior_mean_volume_20, 0) as volume_pct,
        indicator.rsi_14,
        case when indicator.sma_cross <> 0 then 100 * (indicator.sma_20 / indicator.sma_50 - 1) end as sma_gap_pct,
        case when indicator.macd_cross <> 0 then indicator.macd_histogram end as macd_gap,
        case when indicator.bollinger_break = 1 then 100 * (bar.basis_close / indicator.bollinger_upper_20 - 1) end as above_band_pct,
        case when indicator.bollinger_break = -1 then 100 * (bar.basis_close / indicator.bollinger_lower_20 - 1) end as below_band_pct,
        100 * (bar.basis_high / indicator.prior_high_252 - 1) as above_high_pct,
        100 * (bar.basis_low / indicator.prior_low_252 - 1) as below_low_pct
    from {{ ref('int_chosen_indicator') }} as indicator
    inner join {{ ref('int_bar') }} as bar
        on
            indicator.symbol = bar.symbol
            and indicator.interval = bar.interval
            and indicator.ts = bar.ts
    where
        bar.is_closed
        {% if is_incremental() %}
        and {{ is_unseen('indicator.change_seq', this) }}
        {% endif %}

),

measured as (

    {% for rule, measure in [
        ('price_change', 'price_change_pct'),
        ('volume_spike', 'volume_pct'),
        ('rsi_overbought', 'rsi_14'),
        ('rsi_oversold', 'rsi_14'),
        ('sma_cross_up', 'sma_gap_pct'),
        ('sma_cross_down', 'sma_gap_pct'),
        ('macd_cross_up', 'macd_gap'),
        ('macd_cross_down', 'macd_gap'),
        ('bollinger_break_up', 'above_band_pct'),
        ('bollinger_break_down', 'below_band_pct'),
        ('high_52_week', 'above_high_pct'),
        ('low_52_week', 'below_low_pct'),
    ] -%}
    select symbol, interval, ts, '{{ rule }}' as rule, {{ measure }} as value from changed
    {%- if not loop.last %}
    union all
    {% endif -%}
    {% endfor %}

),

fired as (

    select
        measured.*,
        rule.symbol as rule_symbol,
        rule.severity,
        rule.severity_rank,
        rule.threshold
    from measured
    inner join rule
        on
            measured.rule = rule.rule
            and rule.symbol in ('*', measured.symbol)
            and rule.intervals in ('all', measured.interval)
    where
        case rule.direction
            when 'above' then measured.value > rule.threshold
            when 'below' then measured.value < rule.threshold
            when 'either' then abs(measured.value) > rule.threshold
        end

),

in_force as (

    select
        fired.*,
        row_number() over (
            partition by fired.symbol, fired.interval, fired.ts, fired.rule
            order by fired.severity_rank desc
        ) as nth_severe
    from fired
    where
        not exists (
            select 1
            from own_rule
            where
                fired.rule_symbol = '*'
                and own_rule.symbol = fired.symbol
                and own_rule.rule = fired.rule
                and own_rule.severity = fired.severity
        )
        and not exists (
            select 1
            from {{ ref('fct_quality_event') }} as event
            where
                event.kind = 'suspected_split'
                and event.symbol = fired.symbol
                and event.interval = fired.interval
                and event.ts = fired.ts
        )

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
from in_force
where nth_severe = 1
{{ in_order_of_time() }}
