{{ config(materialized='table', meta={'epoch_derived': false}) }}
select count(*) as orders from {{ epoch.epoch_ref('v1', 'orders') }}
