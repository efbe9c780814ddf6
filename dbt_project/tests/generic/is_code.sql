{% test is_code(model, column_name, length, with_digits=false) %}
{% set allowed = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' ~ ('0123456789' if with_digits else '') %}
select {{ column_name }}
from {{ model }}
where
    {{ column_name }} is null
    or length({{ column_name }}) <> {{ length }}
    or translate({{ column_name }}, '{{ allowed }}', '') <> ''
{% endtest %}
