-- In: a catalog table, its column of ids, and the ids that are kept.
-- Out: the table without its other rows.
DELETE FROM {{table}} WHERE NOT EXISTS (SELECT 1 FROM {{kept}} AS kept WHERE kept.id = {{column}})
