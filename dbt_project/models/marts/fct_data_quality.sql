{{ config(
    materialized='incremental',
    incremental_strategy=replacing_strategy(),
    unique_key=['symbol', 'interval', 'ts'],
    on_schema_change='fail',
) }}

{%- set seen = '(select coalesce(max(change_seq), 0) from ' ~ this ~ ')' -%}

{#- Which of two messages of a bar is the older: the order in which they count, and for copies from one place the order of staging. -#}
{%- set in_line -%}
order by {{ place('bar') }}, bar.slot_seq, bar."offset"
{%- endset %}

{%- set content = 'row(bar.open, bar.high, bar.low, bar.close, bar.adj_close, bar.volume, bar.source)' %}

with landed as (

    select symbol, interval, ts, date_trunc('month', ts) as month_ts, topic_id, "partition", "offset"
    from {{ ref('stg_bar') }}
    {% if is_incremental() %}
    where change_seq > {{ seen }}
    {% endif %}

),

rejected as (

    select symbol, interval, date_trunc('month', ts) as month_ts, broken_rules, change_seq
    from {{ ref('int_quarantined_bar') }}

),

-- All messages of the bars that new ones came of; by their times alone most of what is staged is passed over.
together as (

    select bar.*, {{ 'case when bar.change_seq > ' ~ seen ~ ' then 1 else 0 end' if is_incremental() else '1' }} as is_new
    from {{ ref('stg_bar') }} as bar
    {% if is_incremental() %}
    where
        bar.ts in (select ts from landed)
        and exists (
            select 1
            from landed
            where landed.symbol = bar.symbol and landed.interval = bar.interval and landed.ts = bar.ts
        )
    {% endif %}

),

disputed as (

    select symbol, interval, ts
    from together
    group by symbol, interval, ts
    having count(*) > 1

),

in_line as (

    select
        bar.symbol,
        bar.interval,
        bar.ts,
        bar.topic_id,
        bar."partition",
        bar."offset",
        bar.is_new,
        {{ content }} as content,
        lag({{ content }}) over line as content_before,
        row_number() over line as place_in_line,
        lag({{ content }}) over stored_line as stored_content_before,
        row_number() over stored_line as stored_place_in_line
    from together as bar
    inner join disputed
        on
            bar.symbol = disputed.symbol
            and bar.interval = disputed.interval
            and bar.ts = disputed.ts
    window
        line as (partition by bar.symbol, bar.interval, bar.ts {{ in_line }}),
        stored_line as (partition by bar.symbol, bar.interval, bar.ts, bar.is_new {{ in_line }})

),

-- A message that comes in between others changes what these correct: so each bar's are counted as they are now, less as they were.
corrected as (

    select
        symbol,
        interval,
        date_trunc('month', ts) as month_ts,
        count(case when place_in_line > 1 and content is distinct from content_before then 1 end)
        - count(case when is_new = 0 and stored_place_in_line > 1 and content is distinct from stored_content_before then 1 end)
        as more
    from in_line
    group by 1, 2, 3

),

{% if is_incremental() -%}

reached as (

    select symbol, interval, min(first_ts) as first_ts, max(last_ts) as last_ts
    from {{ this }}
    group by symbol, interval

),

-- What came behind its series' end: hardly any does, so that hardly any series is looked at again.
behind as (

    select landed.symbol, landed.interval, landed.ts
    from landed
    inner join reached
        on
            landed.symbol = reached.symbol
            and landed.interval = reached.interval
            and landed.ts < reached.last_ts

),

newest_staged as (

    select bar.topic_id, bar."partition", bar.symbol, bar.interval, max(bar.ts) as ts
    from {{ ref('stg_bar') }} as bar
    where
        bar.ts > (select min(ts) from behind)
        and bar.change_seq <= {{ seen }}
        and exists (select 1 from behind where behind.symbol = bar.symbol and behind.interval = bar.interval)
    group by bar.topic_id, bar."partition", bar.symbol, bar.interval

),

{% endif -%}

in_order as (

    select
        *,
        max(ts) over (
            partition by topic_id, "partition", symbol, interval
            order by "offset" rows between unbounded preceding and 1 preceding
        ) as newest_before
    from landed

),

late as (

    select bar.symbol, bar.interval, bar.month_ts, count(*) as more
    from in_order as bar
    {% if is_incremental() -%}
    left join newest_staged
        on
            bar.topic_id = newest_staged.topic_id
            and bar."partition" = newest_staged."partition"
            and bar.symbol = newest_staged.symbol
            and bar.interval = newest_staged.interval
    {% endif -%}
    where
        (bar.newest_before > bar.ts {{- ' or newest_staged.ts > bar.ts' if is_incremental() }})
        -- A correction or a repeat is none: what came first of the bar decides.
        and not exists (
            select 1
            from in_line as earlier
            where
                earlier.symbol = bar.symbol
                and earlier.interval = bar.interval
                and earlier.ts = bar.ts
                and earlier.topic_id = bar.topic_id
                and earlier."partition" = bar."partition"
                and earlier."offset" < bar."offset"
        )
    group by 1, 2, 3

),

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
    where change_seq > {{ seen }}
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
        or month.month_ts < daily_end.stored_first_ts
        or month.month_ts >= date_trunc('month', daily_end.stored_last_ts)
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

-- Nothing is expected before a symbol's first daily bar or after its last, or where the exchange's calendar is not known.
traded as (

    select
        touched.symbol,
        touched.month_ts,
        calendar.mic,
        cast(greatest(touched.month_ts, daily_end.first_ts) as date) as first_date,
        cast(least(touched.month_ts + interval '1' month - interval '1' day, daily_end.last_ts) as date) as last_date,
        calendar.first_date as known_from,
        calendar.last_date as known_to
    from touched
    inner join daily_end on touched.symbol = daily_end.symbol
    inner join {{ ref('instrument') }} as instrument on touched.symbol = instrument.symbol
    inner join {{ source('control', 'calendar') }} as calendar
        on calendar.mic = case when instrument.kind = 'crypto' then '24/7' else instrument.mic end
    where touched.interval = '1d'

),

known as (

    select symbol, month_ts, mic, first_date, last_date
    from traded
    where first_date >= known_from and last_date <= known_to

),

session as (

    select mic, session_date, date_trunc('month', {{ utc_midnight('session_date') }}) as month_ts
    from {{ source('control', 'session') }}
    where
        session_date >= (select min(first_date) from known)
        and session_date <= (select max(last_date) from known)

),

expected as (

    select known.symbol, known.month_ts, count(session.session_date) as sessions
    from known
    left join session
        on
            known.mic = session.mic
            and known.month_ts = session.month_ts
            and known.first_date <= session.session_date
            and known.last_date >= session.session_date
    group by 1, 2

),

attended as (

    select
        known.symbol,
        known.month_ts,
        count(distinct session.session_date) as sessions,
        count(case when session.session_date is null then 1 end) as off_session_bars
    from known
    inner join current_bar as bar
        on
            known.symbol = bar.symbol
            and known.month_ts = bar.month_ts
            and bar.interval = '1d'
    left join session
        on
            known.mic = session.mic
            and cast(bar.ts as date) = session.session_date
    group by 1, 2

),

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
    left join {{ this }} as stored
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

where not exists (
    select 1
    from {{ this }} as stored
    where
        stored.symbol = summed.symbol
        and stored.interval = summed.interval
        and stored.ts = summed.ts
        and stored.landed_rows = summed.staged_rows + summed.quarantined_rows
        and stored.expected_bars is not distinct from summed.expected_bars
        and stored.missing_bars is not distinct from summed.missing_bars
        and stored.off_session_bars is not distinct from summed.off_session_bars
)

{%- endif %}
