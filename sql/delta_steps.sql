-- In: delta files with the same columns, and the places of the commits whose changes they hold (one file may have many).
-- Out: their rows in the columns of HEAD, c<id> as storage values, each with its place, op and number of copies.
SELECT steps.place, {{outputs}}
FROM read_parquet({{paths}}, filename = true) AS delta
JOIN (SELECT unnest({{files}}) AS file, unnest(CAST({{places}} AS INTEGER[])) AS place) AS steps
    ON steps.file = parse_filename(delta.filename, true)
