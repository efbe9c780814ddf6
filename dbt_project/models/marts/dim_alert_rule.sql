{{ config(materialized='view') }}

with for_every_symbol as (

    select * from {{ source('control', 'alert_override') }}
    where symbol = '*'

),

given as (

    -- What settings say of a rule and severity for every symbol, or of a severity that the seed does not have.
    select
        coalesce(seed.rule, setting.rule) as rule,
        coalesce(seed.severity, setting.severity) as severity,
        '*' as symbol,
        coalesce(setting.threshold, seed.threshold) as threshold,
        coalesce(setting.is_enabled, true) as is_enabled
    from {{ ref('alert_rule') }} as seed
    full outer join for_every_symbol as setting
        on
            seed.rule = setting.rule
            and seed.severity = setting.severity

    union all

    select
        setting.rule,
        setting.severity,
        setting.symbol,
        coalesce(setting.threshold, overall.threshold, seed.threshold) as threshold,
        setting.is_enabled
    from {{ source('control', 'alert_override') }} as setting
    left join for_every_symbol as overall
        on
            setting.rule = overall.rule
            and setting.severity = overall.severity
    left join {{ ref('alert_rule') }} as seed
        on
            setting.rule = seed.rule
            and setting.severity = seed.severity
    where setting.symbol <> '*'

),

rule as (

    select
        rule,
        min(threshold) as threshold,
        min(direction) as direction,
        min(look_back_bars) as look_back_bars,
        min(intervals) as intervals,
        min(unit) as unit,
        min(description) as description
    from {{ ref('alert_rule') }}
    group by rule

)

select
    given.symbol,
    given.rule,
    given.severity,
    case given.severity when 'low' then 1 when 'medium' then 2 when 'high' then 3 end as severity_rank,
    rule.direction,
    coalesce(given.threshold, rule.threshold) as threshold,
    given.is_enabled,
    rule.look_back_bars,
    rule.intervals,
    rule.unit,
    rule.description
from given
inner join rule on given.rule = rule.rule
