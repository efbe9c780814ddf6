{#-
    CTEs of fct_data_quality: `expected` and `attended`, the sessions of each month of daily bars that is `touched`, and which of them have a `current_bar`.
    `daily_end` says from when to when each symbol's daily bars go.
-#}
{% macro sessions_and_gaps() -%}

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
{%- endmacro %}
