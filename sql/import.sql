-- name: csv
-- In: a CSV file, how it is written, and its columns with the types to read them as.
-- Out: its rows. What does not fit is an error, unless it goes to tables of rejects.
read_csv(
    {{file}},
    auto_detect = false,
    delim = {{delim}},
    quote = {{quote}},
    escape = {{escape}},
    skip = {{skip}},
    header = {{header}},
    comment = {{comment}},
    {{#dateformat}}dateformat = {{format}},{{/dateformat}}
    {{#timestampformat}}timestampformat = {{format}},{{/timestampformat}}
    {{#rejects}}store_rejects = true, rejects_table = 'epoch_rejects', rejects_scan = 'epoch_reject_scans',{{/rejects}}
    columns = {{{columns}}}
)


-- name: sniffed
-- In: a CSV file (?).
-- Out: one row: how it is written, and its columns.
SELECT Delimiter, Quote, Escape, Comment, SkipRows, HasHeader, Columns, DateFormat, TimestampFormat
FROM sniff_csv(?)


-- name: first_reject
-- In: the rejects of a CSV file that was read.
-- Out: the first of them: its line, its column, and what is wrong.
SELECT line, column_name, error_message
FROM epoch_rejects
ORDER BY line
LIMIT 1


-- name: json
-- In: a JSON file, and its columns with the types to read them as.
-- Out: its rows.
read_json({{file}}, columns = {{{columns}}})


-- name: json_columns
-- In: a JSON file.
-- Out: its columns, of all of its rows.
DESCRIBE FROM read_json({{file}}, sample_size = -1)


-- name: changes_integer
-- In: a text, and an integer type.
-- Out: whether DuckDB would round it.
(contains({{text}}, '.') OR contains(lower({{text}}), 'e-'))
AND TRY_CAST({{text}} AS DOUBLE) IS DISTINCT FROM trunc(TRY_CAST({{text}} AS DOUBLE))


-- name: changes_decimal
-- In: a text, and a decimal type with its scale.
-- Out: whether DuckDB would round it.
(contains({{text}}, '.') AND length({{text}}) - strpos({{text}}, '.') > {{scale}} OR contains(lower({{text}}), 'e'))
AND (
    regexp_matches({{text}}, '\.\d{' || {{scale}} || '}\d*[1-9]')
    OR TRY_CAST({{text}} AS DOUBLE) IS DISTINCT FROM TRY_CAST(TRY_CAST({{text}} AS {{type}}) AS DOUBLE)
)


-- name: changes_date
-- In: a text.
-- Out: whether it has a time of the day, which DuckDB would cut.
length({{text}}) > 10
AND TRY_CAST({{text}} AS TIMESTAMP) IS DISTINCT FROM CAST(TRY_CAST({{text}} AS DATE) AS TIMESTAMP)


-- name: changes_time
-- In: a text, and a type of times.
-- Out: whether it has more digits after the second than the type, which DuckDB would cut.
contains({{text}}, '.')
AND CAST(TRY_CAST({{text}} AS {{type}}) AS TIMESTAMP_NS) IS DISTINCT FROM TRY_CAST({{text}} AS TIMESTAMP_NS)


-- name: first_fault
-- In: rows of a file, and conditions that a value cannot be converted.
-- Out: the first such value: the number of its row, the position of its column, and the value.
SELECT row_number, position, value
FROM (
    SELECT
        row_number() OVER () AS row_number,
        CASE {{#faults}}WHEN {{fault}} THEN {{position}} {{/faults}}END AS position,
        CASE {{#faults}}WHEN {{fault}} THEN CAST({{value}} AS VARCHAR) {{/faults}}END AS value
    FROM {{relation}} AS source
) AS numbered
WHERE position IS NOT NULL
ORDER BY row_number
LIMIT 1


-- name: line_breaks
-- In: the rows of a CSV file as texts, and a number of rows (?).
-- Out: how many line breaks are within the values of so many rows at its beginning.
SELECT coalesce(sum(length(texts) - length(replace(texts, chr(10), ''))), 0)
FROM (SELECT concat_ws('', *COLUMNS(*)) AS texts FROM {{relation}} AS source LIMIT ?)


-- name: merge
-- In: a table, the rows that it gets (source), and its key.
-- Out: nothing. The table has the rows of the source; with ``replace``, no others.
MERGE INTO {{table}} AS target
USING {{source}} AS source
ON {{on}}
{{#values}}WHEN MATCHED AND ({{differ}}) THEN UPDATE SET {{set}}{{/values}}
WHEN NOT MATCHED THEN INSERT ({{columns}}) VALUES ({{inserted}})
{{#replace}}WHEN NOT MATCHED BY SOURCE THEN DELETE{{/replace}}


-- name: broken_key
-- In: a relation, and columns that are to identify its rows.
-- Out: one key that is NULL or repeated, as text.
SELECT CAST(struct_pack({{named}}) AS VARCHAR)
FROM {{relation}} AS source
GROUP BY {{key}}
HAVING count(*) > 1 OR {{missing}}
LIMIT 1


-- name: tables_of
-- In: the name of an attached database.
-- Out: a row per table (schema_name, table_name, sql).
SELECT schema_name, table_name, sql
FROM duckdb_tables()
WHERE database_name = ? AND NOT internal
ORDER BY ALL


-- name: columns_of
-- In: the name of an attached database.
-- Out: a row per column of its tables (schema_name, table_name, column_name, data_type), in their order. No column is bound.
SELECT schema_name, table_name, column_name, data_type
FROM duckdb_columns()
WHERE database_name = ? AND NOT internal
ORDER BY schema_name, table_name, column_index
