-- In: schema_oid, of something in the catalog.
-- Out: whether that is in another schema than Epoch's own.
schema_oid NOT IN (SELECT oid FROM duckdb_schemas() WHERE schema_name = 'epoch' AND parent_schema_oid IS NULL)
