-- name: content_ids
-- In: the versions, and ids of tables (?).
-- Out: the contents that these tables have had: content_id (see model/remote.py), version_id; of several layouts of one
-- content the one that was compacted last, else the one with the fewest levels, comes first.
SELECT
    sha256(concat_ws(':', 'content', v.table_id, v.schema_id, v.fingerprint, v.row_count)) AS content_id,
    v.version_id
FROM {{epoch}}.versions AS v
WHERE v.table_id IN (SELECT unnest(?::VARCHAR[]))
ORDER BY
    v.version_id IN (SELECT l.from_version FROM {{epoch}}.levels AS l WHERE len(l.file_ids) = 0),
    len(v.level_ids),
    v.version_id


-- name: relations_here
-- In: nothing.
-- Out: the names of all tables and views of the current database.
SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal
UNION ALL
SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal


-- name: bases_with
-- In: files (?).
-- Out: the versions that are one base level with one of these files.
SELECT DISTINCT v.version_id
FROM {{epoch}}.levels AS l
JOIN {{epoch}}.versions AS v ON v.level_ids = [l.level_id]
WHERE list_has_any(l.file_ids, ?::VARCHAR[])
