{{ config(
    materialized='incremental',
    incremental_strategy=replacing_strategy(),
    unique_key=['symbol', 'interval', 'ts'],
    on_schema_change='fail',
) }}

{%- set seen = '(select coalesce(max(change_seq), 0) from ' ~ this ~ ')' if is_incremental() else none -%}

with {% if is_incremental() -%}

-- Series some of whose messages came or went otherwise than by landing: all of theirs are counted anew.
restaged as (

    select distinct symbol, interval
    from {{ unseen('restaged_bar', this) }} as unseen
    where is_changed

),

restaged_month as (

    select distinct symbol, interval, date_trunc('month', ts) as ts
    from {{ unseen('restaged_bar', this) }} as unseen
    where is_changed

),

held as (

    select stored.*
    from {{ this }} as stored
    where not exists (
        select 1
        from restaged
        where restaged.symbol = stored.symbol and restaged.interval = stored.interval
    )

),

{% endif -%}

landed as (

    select symbol, interval, ts, date_trunc('month', ts) as month_ts, topic_id, "partition", "offset"
    from {{ ref('stg_bar') }} as bar
    {% if is_incremental() %}
    where change_seq > {{ seen }}

    union all

    select symbol, interval, ts, date_trunc('month', ts) as month_ts, topic_id, "partition", "offset"
    from {{ ref('stg_bar') }} as bar
    where
        change_seq <= {{ seen }}
        and exists (
            select 1
            from restaged
            where restaged.symbol = bar.symbol and restaged.interval = bar.interval
        )
    {% endif %}

),

rejected as (

    select symbol, interval, date_trunc('month', ts) as month_ts, broken_rules, change_seq
    from {{ ref('int_quarantined_bar') }}

),

{% if is_incremental() -%}

reached as (

    select symbol, interval, min(first_ts) as first_ts, max(last_ts) as last_ts
    from held
    group by symbol, interval

),

{% endif -%}

{{ repeats_and_late_bars(seen) }}

staged as (

    select symbol, interval, month_ts, count(*) as more, min(ts) as first_ts, max(ts) as last_ts
    from landed
    group by 1, 2, 3

),

-- Of daily bars, also the months that a series now reaches over without having any.
daily_end as (

    select
        symbol,
        min(first_ts) as first_ts,
        max(last_ts) as last_ts,
        min(case when is_stored then first_ts end) as stored_first_ts,
        max(case when is_stored then last_ts end) as stored_last_ts
    from (
        select symbol, first_ts, last_ts, false as is_stored
        from staged
        where interval = '1d'
        {%- if is_incremental() %}

        union all

        select symbol, first_ts, last_ts, true as is_stored
        from reached
        where interval = '1d'
        {%- endif %}
    ) as ends
    group by symbol

),

month as (

    select {{ utc_midnight('session_date') }} as month_ts
    from {{ source('control', 'session') }}
    where mic = '24/7' and extract(day from session_date) = 1

),

touched as (

    select symbol, interval, month_ts from staged

    union

    select symbol, interval, month_ts
    from rejected
    {%- if is_incremental() %}
    where
        change_seq > {{ seen }}
        or exists (
            select 1
            from restaged
            where restaged.symbol = rejected.symbol and restaged.interval = rejected.interval
        )
    {%- endif %}

    union

    select daily_end.symbol, '1d' as interval, month.month_ts
    from daily_end
    inner join month
        on
            month.month_ts >= date_trunc('month', daily_end.first_ts)
            and month.month_ts <= daily_end.last_ts
    {%- if is_incremental() %}
    where
        daily_end.stored_last_ts is null
        or (daily_end.first_ts < daily_end.stored_first_ts and month.month_ts <= daily_end.stored_first_ts)
        or (daily_end.last_ts > daily_end.stored_last_ts and month.month_ts >= date_trunc('month', daily_end.stored_last_ts))
        or (select max(build_seq) from {{ source('control', 'calendar') }}) > {{ seen }}
    {%- endif %}

),

broken_rule as (

    select rejected.symbol, rejected.interval, rejected.month_ts, rule.name, count(*) as bars
    from rejected
    cross join unnest(rejected.broken_rules) as rule (name)
    inner join touched
        on
            rejected.symbol = touched.symbol
            and rejected.interval = touched.interval
            and rejected.month_ts = touched.month_ts
    group by 1, 2, 3, 4

),

by_rule as (

    select symbol, interval, month_ts, {{ joined_text("'\"' || name || '\": ' || cast(bars as varchar)", 'name') }} as counts
    from broken_rule
    group by 1, 2, 3

),

quarantined as (

    select symbol, interval, month_ts, count(*) as bars
    from rejected
    group by 1, 2, 3

),

current_bar as (

    select symbol, interval, ts, date_trunc('month', ts) as month_ts
    from {{ ref('int_landed_bar') }}
    where
        ts >= (select min(month_ts) from touched)
        and ts < (select max(month_ts) from touched) + interval '1' month

),

counted as (

    select bar.symbol, bar.interval, bar.month_ts, count(*) as bars
    from current_bar as bar
    inner join touched
        on
            bar.symbol = touched.symbol
            and bar.interval = touched.interval
            and bar.month_ts = touched.month_ts
    group by 1, 2, 3

),

{{ sessions_and_gaps() }}

{% if is_incremental() -%}

-- As a whole it would be hashed for each build: every month of every series, for the few that are looked up.
held_lately as (

    select *
    from held
    where ts >= (select min(month_ts) from touched)

),

{% endif -%}

summed as (

    select
        touched.symbol,
        touched.interval,
        touched.month_ts as ts,
        coalesce(staged.more, 0) {{- ' + coalesce(stored.landed_rows - stored.quarantined_rows, 0)' if is_incremental() }} as staged_rows,
        coalesce(counted.bars, 0) as current_rows,
        coalesce(corrected.more, 0) {{- ' + coalesce(stored.corrected_rows, 0)' if is_incremental() }} as corrected_rows,
        coalesce(quarantined.bars, 0) as quarantined_rows,
        '{' || coalesce(by_rule.counts, '') || '}' as quarantined_by_rule,
        coalesce(late.more, 0) {{- ' + coalesce(stored.late_bars, 0)' if is_incremental() }} as late_bars,
        expected.sessions as expected_bars,
        expected.sessions - coalesce(attended.sessions, 0) as missing_bars,
        case when expected.sessions is not null then coalesce(attended.off_session_bars, 0) end as off_session_bars,
        {% if is_incremental() -%}
        coalesce(least(staged.first_ts, stored.first_ts), staged.first_ts, stored.first_ts) as first_ts,
        coalesce(greatest(staged.last_ts, stored.last_ts), staged.last_ts, stored.last_ts) as last_ts
        {%- else -%}
        staged.first_ts,
        staged.last_ts
        {%- endif %}
    from touched
    {%- set sources = ['staged', 'counted', 'corrected', 'quarantined', 'by_rule', 'late'] %}
    {%- for name in sources %}
    left join {{ name }}
        on
            touched.symbol = {{ name }}.symbol
            and touched.interval = {{ name }}.interval
            and touched.month_ts = {{ name }}.month_ts
    {%- endfor %}
    left join expected
        on
            touched.interval = '1d'
            and touched.symbol = expected.symbol
            and touched.month_ts = expected.month_ts
    left join attended
        on
            touched.interval = '1d'
            and touched.symbol = attended.symbol
            and touched.month_ts = attended.month_ts
    {%- if is_incremental() %}
    left join held_lately as stored
        on
            touched.symbol = stored.symbol
            and touched.interval = stored.interval
            and touched.month_ts = stored.ts
    {%- endif %}

)

select
    symbol,
    interval,
    ts,
    staged_rows + quarantined_rows as landed_rows,
    current_rows,
    staged_rows - current_rows - corrected_rows as duplicate_rows,
    corrected_rows,
    quarantined_rows,
    quarantined_by_rule,
    late_bars,
    expected_bars,
    missing_bars,
    off_session_bars,
    first_ts,
    last_ts,
    {{ build_seq() }} as change_seq
from summed

{%- if is_incremental() %}

-- Months whose messages are others now are written in any case: by them the next build sees that these were counted.
where exists (
    select 1
    from restaged_month
    where
        restaged_month.symbol = summed.symbol
        and restaged_month.interval = summed.interval
        and restaged_month.ts = summed.ts
)
or not exists (
    select 1
    from {{ this }} as stored
    where
        stored.symbol = summed.symbol
        and stored.interval = summed.interval
        and stored.ts = summed.ts
        and stored.ts >= (select min(month_ts) from touched)
        and stored.landed_rows = summed.staged_rows + summed.quarantined_rows
        and stored.current_rows = summed.current_rows
        and stored.duplicate_rows = summed.staged_rows - summed.current_rows - summed.corrected_rows
        and stored.corrected_rows = summed.corrected_rows
        and stored.quarantined_rows = summed.quarantined_rows
        and stored.quarantined_by_rule = summed.quarantined_by_rule
        and stored.late_bars = summed.late_bars
        and stored.expected_bars is not distinct from summed.expected_bars
        and stored.missing_bars is not distinct from summed.missing_bars
        and stored.off_session_bars is not distinct from summed.off_session_bars
        and stored.first_ts is not distinct from summed.first_ts
        and stored.last_ts is not distinct from summed.last_ts
)

union all

-- Months that a series, counted anew, does not reach any more go.
select
    stored.symbol,
    stored.interval,
    stored.ts,
    stored.landed_rows,
    stored.current_rows,
    stored.duplicate_rows,
    stored.corrected_rows,
    stored.quarantined_rows,
    stored.quarantined_by_rule,
    stored.late_bars,
    stored.expected_bars,
    stored.missing_bars,
    stored.off_session_bars,
    stored.first_ts,
    stored.last_ts,
    cast(null as bigint) as change_seq
from {{ this }} as stored
inner join restaged
    on
        stored.symbol = restaged.symbol
        and stored.interval = restaged.interval
where not exists (
    select 1
    from summed
    where summed.symbol = stored.symbol and summed.interval = stored.interval and summed.ts = stored.ts
)

{%- endif %}
