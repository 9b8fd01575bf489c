-- In: the name of a function (?), and the digest of this version's macros (?).
-- Out: one row: the file of the current database, whether it is read-only, whether the function is registered, and whether
-- the database has the macros. DuckDB takes long to list its functions, so it is asked once.
SELECT d.path, d.readonly, f.registered, f.up_to_date
FROM duckdb_databases() AS d
CROSS JOIN (
    SELECT
        bool_or(function_name = ?) AS registered,
        bool_or(
            function_name = 'epoch_version' AND database_name = current_database() AND contains(coalesce(comment, ''), ?)
        ) AS up_to_date
    FROM duckdb_functions()
) AS f
WHERE d.database_name = current_database()
