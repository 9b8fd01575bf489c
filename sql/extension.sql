-- name: macro
-- In: the query of a function.
-- Out: the function, as a table macro.
CREATE OR REPLACE MACRO {{name}}({{parameters}}) AS TABLE
{{query}}


-- name: acting
-- In: the function that acts, once, and returns rows or an error: its text, or its document (extension.failing says why).
-- Out: those rows, or the error.
SELECT unnest(result)
FROM (
    SELECT unnest(
        CASE WHEN outcome.error IS NULL THEN outcome."rows"
        ELSE error(CASE WHEN outcome.is_document THEN json_deserialize_sql(outcome.error) ELSE outcome.error END) END
    ) AS result
    FROM (SELECT {{outcome}} AS outcome) AS called
) AS unnested


-- name: bound
-- In: the SQL text that a function returns.
-- Out: the rows of that SQL.
FROM query({{text}})


-- name: unchecked
-- In: a parameter of a macro, and a call.
-- Out: the call. DuckDB checks a new macro as far as the first parameter, so it does not look for the function that is called.
CASE WHEN true OR {{parameter}} IS NULL THEN {{call}} END


-- name: if_there
-- In: a query, a query that calls a function, and one that fails where the function is missing.
-- Out: the rows of the first or the last.
FROM query(CASE WHEN json_serialize_plan({{calling}}) LIKE '{"error":true%' THEN {{failing}} ELSE {{query}} END)


-- name: reading
-- In: a query, and the table that every move of a reference alters.
-- Out: the query's rows. The join with that table changes nothing: it makes a prepared statement bind again after a move,
-- and DuckDB removes it from the plan. (DuckDB 1.5 and 2.0 do not bind a WITH that is not used, and a LEFT JOIN would stay.)
FROM ({{query}}) AS result
ANTI JOIN (SELECT NULL AS moves FROM {{epoch}}.state WHERE false) AS epoch_state ON false


-- name: look_at_counts
-- In: a working table, as the reader's transaction sees it.
-- Out: one row: its name, and how many rows it has.
SELECT {{name}} AS name, count(*) AS row_count, NULL AS checksum, NULL AS uncommitted, NULL AS is_before, NULL AS version_id, NULL AS dirty FROM {{table}}


-- name: look_at_rows
-- In: a working table, as the reader's transaction sees it.
-- Out: one row: its name, how many rows it has, the sum of their hashes, and how many of them its transaction has inserted.
SELECT
    {{name}} AS name, count(*) AS row_count, coalesce(sum({{row_hash}}), 0) AS checksum,
    {{uncommitted}} AS uncommitted, NULL AS is_before, NULL AS version_id, NULL AS dirty
FROM ({{working}}) AS working


-- name: look_at_changes
-- In: as for look_at_rows, and the query that compares the table with a version, bucket by bucket.
-- Out: as look_at_rows, and the buckets that differ from the version.
SELECT
    {{name}} AS name, row_count, checksum,
    {{uncommitted}} AS uncommitted, NULL AS is_before, {{version_id}} AS version_id, dirty
FROM ({{located}}) AS located


-- name: inserted_here
-- In: a working table.
-- Out: how many rows the reader's transaction has inserted and not committed: DuckDB numbers those from here on, and reads
-- no others. A column of that name would hide the numbers.
(SELECT count(*) FROM {{table}} WHERE rowid >= 36028797018960000)


-- name: committed_before
-- In: names of working tables, how many rows each has, and the sums of their hashes.
-- Out: a row per table: these as constants, marked as before.
SELECT name, row_count, checksum, NULL AS uncommitted, true AS is_before, NULL AS version_id, NULL AS dirty
FROM (
    SELECT unnest({{names}}) AS name, unnest([{{counts}}]) AS row_count, unnest([{{checksums}}]) AS checksum
) AS committed


-- name: rows_stored
-- In: nothing.
-- Out: one row: about how many rows there are in all tables.
SELECT coalesce(sum(estimated_size), 0) FROM duckdb_tables() WHERE database_name = current_database() AND schema_name <> 'epoch'


-- name: attached
-- In: nothing.
-- Out: a row per attached database file with a repository: its name and number.
SELECT database_name, database_oid
FROM duckdb_databases()
JOIN duckdb_tables() USING (database_name, database_oid)
WHERE path IS NOT NULL AND type = 'duckdb' AND schema_name = 'epoch' AND table_name = 'state'
ORDER BY database_name


-- name: others
-- In: nothing.
-- Out: one row: whether other databases are attached.
SELECT count(*) > 0 FROM duckdb_databases() WHERE NOT internal AND database_name <> current_database()


-- name: marked
-- In: the name of a macro, and its definition (?).
-- Out: a row per other database that has this macro: its name.
SELECT DISTINCT database_name
FROM duckdb_functions()
WHERE function_name = ? AND macro_definition = ? AND schema_name = 'main' AND database_name <> current_database()
ORDER BY ALL


-- name: database
-- In: nothing.
-- Out: one row: the current database, its file (NULL: it is in memory), and whether it is read-only.
SELECT database_name, path, readonly
FROM duckdb_databases()
WHERE database_name = current_database()
