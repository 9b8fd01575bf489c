-- In: the digest of this version's macros (?).
-- Out: one row: whether the database has them, and whether it is read-only.
SELECT
    EXISTS (
        FROM duckdb_functions()
        WHERE function_name = 'epoch_version' AND database_name = current_database() AND contains(comment, ?)
    ),
    (SELECT readonly FROM duckdb_databases() WHERE database_name = current_database())
