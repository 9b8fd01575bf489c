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
