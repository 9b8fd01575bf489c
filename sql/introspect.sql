-- name: columns
-- In: the catalog of the current database.
-- Out: a row per column (table_oid, column_index, column_name, data_type, is_nullable, column_default, comment).
SELECT table_oid, column_index, column_name, data_type, is_nullable, column_default, comment
FROM duckdb_columns()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT internal


-- name: constraints
-- In: the catalog of the current database.
-- Out: a row per constraint (table_oid, constraint_type, columns, expression, referenced_table, referenced_columns).
SELECT
    table_oid,
    constraint_type,
    constraint_column_names AS columns,
    expression,
    referenced_table,
    referenced_column_names AS referenced_columns
FROM duckdb_constraints()
WHERE database_name = current_database()
  AND {{users}}
  AND constraint_type <> 'NOT NULL'


-- name: indexes
-- In: the catalog of the current database.
-- Out: a row per index made by CREATE INDEX (table_oid, index_name, is_unique, comment, sql).
SELECT table_oid, index_name, is_unique, comment, sql
FROM duckdb_indexes()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT is_primary
  AND sql IS NOT NULL


-- name: macro_defaults
-- In: calls, a list of statements that each call a macro with more arguments than it takes.
-- Out: a row per call, in order (message: DuckDB's refusal, which lists the signatures with their defaults).
SELECT json_serialize_plan(call) ->> 'error_message' AS message
FROM (SELECT unnest({{calls}}) AS call, generate_subscripts({{calls}}, 1) AS position)
ORDER BY position


-- name: macros
-- In: the catalog of the current database.
-- Out: a row per overload of a macro (schema_name, nested_oid: its schema, if that is in another one, function_name, is_table,
-- parameters, parameter_types, body, comment).
SELECT
    schema_name,
    {{nested}} AS nested_oid,
    function_name,
    function_type = 'table_macro' AS is_table,
    parameters,
    parameter_types,
    macro_definition AS body,
    comment
FROM duckdb_functions() AS functions
WHERE database_name = current_database()
  AND function_type IN ('macro', 'table_macro')
  AND NOT internal


-- name: names
-- In: the catalog of the current database.
-- Out: a row per user table (schema_oid, table_name).
SELECT schema_oid, table_name
FROM duckdb_tables()
WHERE database_name = current_database() AND NOT internal AND NOT temporary AND {{users}}


-- name: nested_schema_of_macro
-- In: functions, a row of duckdb_functions().
-- Out: the schema of the macro, if it is within another one, else NULL.
(
    SELECT any_value(schemas.oid)
    FROM duckdb_dependencies() AS dependencies
    JOIN duckdb_schemas() AS schemas ON schemas.oid = dependencies.objid
    WHERE dependencies.refobjid = functions.function_oid AND schemas.parent_schema_oid IS NOT NULL
)


-- name: schemas
-- In: the catalog of the current database.
-- Out: a row per schema (schema_oid, schema_name, parent_oid: the schema that it is in, if any).
SELECT oid AS schema_oid, schema_name, {{parent}} AS parent_oid
FROM duckdb_schemas()
WHERE database_name = current_database()


-- name: sequences
-- In: the catalog of the current database.
-- Out: a row per sequence (schema_oid, sequence_name, comment, increment_by, min_value, max_value, cycle, sql).
SELECT schema_oid, sequence_name, comment, increment_by, min_value, max_value, cycle, sql
FROM duckdb_sequences()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT temporary


-- name: tables
-- In: the catalog of the current database.
-- Out: a row per user table (schema_oid, table_name, table_oid, comment, sql: only where it tells more than the catalog).
SELECT
    schema_oid,
    table_name,
    table_oid,
    comment,
    CASE WHEN contains(sql, 'GENERATED ALWAYS') OR contains(sql, ' COLLATE ') THEN sql END AS sql
FROM duckdb_tables()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT internal
  AND NOT temporary


-- name: triggers
-- In: the catalog of the current database.
-- Out: a row per trigger (schema_oid, table_name, sql).
SELECT schema_oid, table_name, sql
FROM duckdb_triggers()
WHERE database_name = current_database()
  AND NOT temporary


-- name: types
-- In: the catalog of the current database.
-- Out: a row per type that a user made (schema_oid, type_name, comment).
SELECT schema_oid, type_name, comment
FROM duckdb_types()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT internal


-- name: unversioned
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


-- name: views
-- In: the catalog of the current database.
-- Out: a row per view (schema_oid, view_name, view_oid, comment, sql).
SELECT schema_oid, view_name, view_oid, comment, sql
FROM duckdb_views()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT internal
  AND NOT temporary


-- name: definitions
-- In: the definitions and comments of everything in a database, as the reader's transaction sees them.
-- Out: one row without a name: how many there are, and the sum of their hashes.
SELECT
    '' AS name, count(*) AS row_count, coalesce(sum(hash(hash(seen))), 0) AS checksum, NULL AS uncommitted, NULL AS is_before, NULL AS version_id, NULL AS dirty
FROM (
    SELECT {'a': schema_name, 'b': table_name, 'c': sql, 'd': comment} AS seen
    FROM duckdb_tables()
    WHERE database_name = {{catalog}} AND {{users}}
    UNION ALL
    SELECT {'a': schema_name, 'b': table_name, 'c': column_name, 'd': comment}
    FROM duckdb_columns()
    WHERE database_name = {{catalog}} AND {{users}} AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': view_name, 'c': sql, 'd': comment}
    FROM duckdb_views()
    WHERE database_name = {{catalog}} AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': index_name, 'c': sql, 'd': comment} FROM duckdb_indexes() WHERE database_name = {{catalog}}
    UNION ALL
    SELECT {'a': schema_name, 'b': sequence_name, 'c': CAST(increment_by AS VARCHAR), 'd': comment}
    FROM duckdb_sequences()
    WHERE database_name = {{catalog}}
    UNION ALL
    SELECT {'a': schema_name, 'b': type_name, 'c': CAST(labels AS VARCHAR), 'd': comment}
    FROM duckdb_types()
    WHERE database_name = {{catalog}} AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': function_name, 'c': macro_definition, 'd': comment}
    FROM duckdb_functions()
    WHERE database_name = {{catalog}} AND function_type IN ('macro', 'table_macro') AND NOT internal
    UNION ALL
    {{triggers}}
) AS definitions


-- name: trigger_definitions
-- In: the triggers of a database, as the reader's transaction sees them.
-- Out: a row per trigger (seen), as in definitions.
SELECT {'a': schema_name, 'b': table_name, 'c': sql, 'd': comment} AS seen
FROM duckdb_triggers()
WHERE database_name = {{catalog}}


-- name: outside_of_epoch
-- In: schema_oid, of something in the catalog.
-- Out: whether that is in another schema than Epoch's own.
schema_oid NOT IN (SELECT oid FROM duckdb_schemas() WHERE schema_name = 'epoch' AND parent_schema_oid IS NULL)
