{#- Crossings for engines on which no Python runs; they are what transform.indicators.signal_arithmetic says. -#}

{# 1 where one value is above the other, -1 below, 0 where they are equal but for rounding: within 1e-12 of the close. #}
{% macro side(one, other) -%}
case when abs({{ one }} - {{ other }}) <= 1e-12 * close then 0 when {{ one }} > {{ other }} then 1 else -1 end
{%- endmacro %}

{# The side where it is not that of the bar before, else 0; null where either is. To be used with a window `series`. #}
{% macro crossed(side) -%}
case when {{ side }} <> lag({{ side }}) over series then {{ side }} when lag({{ side }}) over series is not null then 0 end
{%- endmacro %}
