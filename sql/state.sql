-- In: the rows of the base level, and the last delta row of each key that changed since.
-- Out: the rows of the version: c<id> for each column, as storage values.
WITH delta AS MATERIALIZED ({{latest}})
SELECT {{base_columns}}
FROM ({{base}}) AS base
ANTI JOIN delta ON {{same_key}}
UNION ALL
SELECT {{delta_columns}}
FROM ({{survivors}}) AS delta
