{#-
    What moves with the bars, for engines on which no Python runs (Trino, Athena): each is a window function to be followed by its
    OVER clause. A window function adds one row at a time and never combines two sums; should an engine do so all the same, the
    result is NaN and not a wrong number.
-#}

{# Sum afresh for every frame. Trino's own sum() and avg() keep a running sum, in which one huge value stays for ever. #}
{% macro fresh_sum(value) -%}
reduce_agg({{ value }}, 0e0, (total, addend) -> total + addend, (one, other) -> nan())
{%- endmacro %}

{#-
    Means that carry on from bar to bar, over ROWS UNBOUNDED PRECEDING. They do what the kernel does, in its order, and so give its values
    to the bit: the sum of the values before the seed, the mean of the first `length` of them there, the recursion after it.
    `number` counts the values from 1; one whose number is not positive leaves the sum at 0.
-#}
{% macro exponential_mean(value, number, length) -%}
{{ seeded_mean(value, number, length, 'mean + (bar.value - mean) * (2e0 / ' ~ (length + 1) ~ 'e0)') }}
{%- endmacro %}

{% macro wilder_mean(value, number) -%}
{{ seeded_mean(value, number, 14, '(mean * 13e0 + bar.value) / 14e0') }}
{%- endmacro %}

{% macro seeded_mean(value, number, length, next) -%}
reduce_agg(
    cast(row({{ value }}, {{ number }}) as row(value double, number bigint)),
    0e0,
    (mean, bar) -> case
        when bar.number > {{ length }} then {{ next }}
        when bar.number = {{ length }} then (mean + bar.value) / {{ length }}e0
        when bar.number > 0 then mean + bar.value
        else mean
    end,
    (one, other) -> nan()
)
{%- endmacro %}
