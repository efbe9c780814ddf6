{#-
    CTEs of fct_data_quality: `corrected` and `late`, how many corrections and late bars there are more, by month. They read `landed`, the messages that
    are new, and where the table is there already `reached`, from when to when its series go. `seen` is the newest build it has seen, none of a table made anew.
-#}
{% macro repeats_and_late_bars(seen) -%}

{#- Which of two messages of a bar is the older: the order in which they count, and for copies from one place the order of staging. -#}
{%- set in_line -%}
order by {{ place('bar') }}, bar.slot_seq, bar."offset"
{%- endset %}

{%- set content = 'row(bar.open, bar.high, bar.low, bar.close, bar.adj_close, bar.volume, bar.source)' %}


-- All messages of the bars that new ones came of; by their times alone most of what is staged is passed over.
together as (

    select
        bar.*,
        {% if seen -%}
        case
            when bar.change_seq > {{ seen }}
                or exists (
                    select 1
                    from restaged
                    where restaged.symbol = bar.symbol and restaged.interval = bar.interval
                )
                then 1
            else 0
        end as is_new
        {%- else -%}
        1 as is_new
        {%- endif %}
    from {{ ref('stg_bar') }} as bar
    {% if seen %}
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

{% if seen -%}

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
        bar.ts >= (select min(ts) from behind)
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
    {% if seen -%}
    left join newest_staged
        on
            bar.topic_id = newest_staged.topic_id
            and bar."partition" = newest_staged."partition"
            and bar.symbol = newest_staged.symbol
            and bar.interval = newest_staged.interval
    {% endif -%}
    where
        (bar.newest_before > bar.ts {{- ' or newest_staged.ts > bar.ts' if seen }})
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
{%- endmacro %}
