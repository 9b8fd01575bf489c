-- In: the catalog of the current database.
-- Out: a row per trait of something that Epoch does not keep (schema_oid, kind, name, trait).
SELECT s.schema_oid, 'sequence' AS kind, s.sequence_name AS name, 'OWNED BY' AS trait
FROM duckdb_sequences() AS s
JOIN duckdb_dependencies() AS d ON d.objid = s.sequence_oid AND d.deptype = 'a'
WHERE s.database_name = current_database() AND NOT s.temporary
UNION ALL
SELECT schema_oid, 'table', table_name, 'USING COMPRESSION'
FROM duckdb_tables()
WHERE database_name = current_database() AND {{users}} AND NOT internal AND NOT temporary AND contains(sql, ' USING COMPRESSION ')
