{% snapshot watched %}
{{ config(target_schema='main', unique_key='id', strategy='check', check_cols=['amount']) }}
select * from orders
{% endsnapshot %}
