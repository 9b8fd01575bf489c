-- In: rows, and the columns that are to be their key.
-- Out: up to three keys, as JSON, that hold NULL or occur more than once.
SELECT CAST(to_json({{key_struct}}) AS VARCHAR)
FROM ({{rows}}) AS rows
GROUP BY {{key_columns}}
HAVING count(*) > 1 OR {{missing}}
LIMIT 3
