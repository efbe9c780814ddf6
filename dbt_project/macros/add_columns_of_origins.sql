{# Bars that were built before dead letters could be replayed lack these columns, and the model compares with them. #}
{% macro add_columns_of_origins() %}
{% if is_incremental() %}
alter table {{ this }} add column if not exists origin_topic_id varchar;
alter table {{ this }} add column if not exists origin_partition integer;
alter table {{ this }} add column if not exists origin_offset bigint;
alter table {{ this }} add column if not exists origin_timestamp timestamptz;
alter table {{ this }} add column if not exists origin_begun_at timestamptz;
{% endif %}
{% endmacro %}
