{{ config(materialized='view') }}

-- Of the lake's own facts alone, so that a warehouse that is made anew has the same: no numbers of builds or registration.
with newest as (

    select *
    from {{ source('landing', 'slot') }}
    order by validated_at desc, chain desc, position desc
    limit 1000

),

broken_rule as (

    select bar.slot_seq, rule.name, count(*) as bars
    from {{ ref('int_quarantined_bar') }} as bar
    cross join unnest(bar.broken_rules) as rule (name)
    where bar.slot_seq in (select slot_seq from newest where quarantined_rows > 0)
    group by 1, 2

),

by_rule as (

    select slot_seq, {{ joined_text("'\"' || name || '\": ' || cast(bars as varchar)", 'name') }} as counts
    from broken_rule
    group by 1

)

select
    regexp_extract(newest.chain, 'topic=([^/]+)/', 1) as topic,
    regexp_extract(newest.chain, '/id=([^/]+)/', 1) as topic_id,
    cast(regexp_extract(newest.chain, 'partition=([0-9]+)', 1) as integer) as "partition",
    newest.position,
    newest.next_offset,
    newest.landed_rows,
    newest.quarantined_rows,
    '{' || coalesce(by_rule.counts, '') || '}' as quarantined_by_rule,
    newest.validated_at
from newest
left join by_rule on newest.slot_seq = by_rule.slot_seq
