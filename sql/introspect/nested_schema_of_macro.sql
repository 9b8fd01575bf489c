-- In: functions, a row of duckdb_functions().
-- Out: the schema of the macro, if it is within another one, else NULL.
(
    SELECT any_value(schemas.oid)
    FROM duckdb_dependencies() AS dependencies
    JOIN duckdb_schemas() AS schemas ON schemas.oid = dependencies.objid
    WHERE dependencies.refobjid = functions.function_oid AND schemas.parent_schema_oid IS NOT NULL
)
