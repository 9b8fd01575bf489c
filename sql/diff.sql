-- name: stat
-- In: the changes of one table with a key, and its numbers of rows.
-- Out: its row of epoch_diff_stat.
SELECT
    {{table_name}} AS table_name,
    rows_added,
    rows_modified,
    rows_removed,
    coalesce({{old_row_count}}, 0) - rows_modified - rows_removed AS rows_unmodified,
    cells_modified,
    {{old_row_count}} AS old_row_count,
    {{new_row_count}} AS new_row_count
FROM (
    SELECT
        count(*) FILTER (op = 'added') AS rows_added,
        count(*) FILTER (op = 'modified') AS rows_modified,
        count(*) FILTER (op = 'removed') AS rows_removed,
        CAST(coalesce(sum({{cells}}) FILTER (op = 'modified'), 0) AS BIGINT) AS cells_modified
    FROM ({{changes}}) AS changes
) AS counts


-- name: bag_stat
-- In: the changes of one table without a key, and its numbers of rows.
-- Out: its row of epoch_diff_stat: rows are added or removed, never modified.
SELECT
    {{table_name}} AS table_name,
    rows_added,
    CAST(0 AS BIGINT) AS rows_modified,
    rows_removed,
    coalesce({{old_row_count}}, 0) - rows_removed AS rows_unmodified,
    CAST(0 AS BIGINT) AS cells_modified,
    {{old_row_count}} AS old_row_count,
    {{new_row_count}} AS new_row_count
FROM (
    SELECT
        CAST(coalesce(sum(greatest(n0 - o0, 0)), 0) AS BIGINT) AS rows_added,
        CAST(coalesce(sum(greatest(o0 - n0, 0)), 0) AS BIGINT) AS rows_removed
    FROM ({{changes}}) AS changes
) AS counts


-- name: summary
-- In: whether the rows of one table differ, and its definition.
-- Out: its row of epoch_diff_summary, if anything differs.
SELECT table_name, diff_type, data_change, schema_change
FROM (
    SELECT
        {{table_name}} AS table_name,
        {{diff_type}} AS diff_type,
        {{data_change}} AS data_change,
        {{schema_change}} AS schema_change
) AS summary
WHERE data_change OR schema_change


-- name: as_json
-- In: the changes of one table.
-- Out: its rows of epoch_diff over all tables.
SELECT
    {{table_name}} AS table_name,
    op AS diff_type,
    {{key}} AS key,
    {{changed}} AS changed_columns,
    {{from_row}} AS from_row,
    {{to_row}} AS to_row
FROM ({{changes}}) AS changes


-- name: stat_of_changed
-- In: the statistics of tables.
-- Out: those of tables that changed, or that only one side has.
FROM ({{rows}}) AS statistics
WHERE rows_added + rows_modified + rows_removed > 0 OR old_row_count IS NULL OR new_row_count IS NULL


-- name: together
-- In: the rows of the typed epoch_diff of one table (rows) and names for its columns (aliases). That of the kind of change
-- (kind), and for each column of the table those of its two values (columns: before, after), or NULL.
-- Out: the rows for people: a sign, and a text for each column, with both values where they differ.
SELECT
    CASE {{kind}} WHEN 'added' THEN '+' WHEN 'removed' THEN '-' ELSE '~' END AS sign
    {{#columns}},
    CASE
        WHEN {{kind}} = 'removed' THEN coalesce(CAST({{before}} AS VARCHAR), 'NULL')
        WHEN {{kind}} = 'added' OR encode(CAST({{before}} AS VARCHAR)) IS NOT DISTINCT FROM encode(CAST({{after}} AS VARCHAR))
        THEN coalesce(CAST({{after}} AS VARCHAR), 'NULL')
        ELSE coalesce(CAST({{before}} AS VARCHAR), 'NULL') || ' → ' || coalesce(CAST({{after}} AS VARCHAR), 'NULL')
    END{{/columns}}
FROM (
{{rows}}
) AS result({{aliases}})


-- name: apart
-- In: the same.
-- Out: the same, but two texts for each column: its value or NULL, and the new one if it is another one, or else NULL.
SELECT
    CASE {{kind}} WHEN 'added' THEN '+' WHEN 'removed' THEN '-' ELSE '~' END AS sign
    {{#columns}},
    CASE {{kind}} WHEN 'added' THEN CAST({{after}} AS VARCHAR) ELSE CAST({{before}} AS VARCHAR) END,
    CASE
        WHEN {{kind}} NOT IN ('added', 'removed')
            AND encode(CAST({{before}} AS VARCHAR)) IS DISTINCT FROM encode(CAST({{after}} AS VARCHAR))
        THEN coalesce(CAST({{after}} AS VARCHAR), 'NULL')
    END{{/columns}}
FROM (
{{rows}}
) AS result({{aliases}})
