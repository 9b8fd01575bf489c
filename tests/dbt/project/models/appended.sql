{{ config(materialized='incremental', incremental_strategy='append', unique_key='region') }}
select id, region from orders {% if is_incremental() %}where id > (select max(id) from {{ this }}){% endif %}
