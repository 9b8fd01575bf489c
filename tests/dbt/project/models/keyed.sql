{{ config(materialized='table') }}
select id, amount from {{ ref('large') }} -- after {{ ref('totals') }}
