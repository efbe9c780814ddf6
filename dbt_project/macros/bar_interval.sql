{# Length of a bar in seconds; of a day and a week by the calendar. #}
{% macro bar_seconds(interval) -%}
case {{ interval }}
    when '1m' then 60
    when '5m' then 300
    when '15m' then 900
    when '30m' then 1800
    when '1h' then 3600
    when '4h' then 14400
    when '1d' then 86400
    when '1w' then 604800
end
{%- endmacro %}

{# Start of the bar of the `target` interval into which a finer bar falls. #}
{% macro bucket_start(target, ts, trading_date) -%}
case {{ target }}
    when '5m' then date_trunc('minute', {{ ts }}) - (extract(minute from {{ ts }}) % 5) * interval '1' minute
    when '1h' then date_trunc('hour', {{ ts }})
    when '1d' then {{ utc_midnight(trading_date) }}
    when '1w' then {{ utc_midnight("date_trunc('week', " ~ trading_date ~ ")") }}
end
{%- endmacro %}
