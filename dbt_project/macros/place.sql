{# The place that decides which of two bars is the newer: a replayed dead letter's first one, any other bar's own. #}
{% macro place(bar) -%}
coalesce({{ bar }}.origin_begun_at, {{ bar }}.topic_begun_at),
coalesce({{ bar }}.origin_timestamp, {{ bar }}.kafka_timestamp),
coalesce({{ bar }}.origin_partition, {{ bar }}."partition"),
coalesce({{ bar }}.origin_offset, {{ bar }}."offset")
{%- endmacro %}
