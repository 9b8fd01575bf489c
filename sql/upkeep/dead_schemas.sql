-- In: the definitions that are kept (epoch_kept_schemas).
-- Out: the other definitions of tables: kind, object_id, bytes, description (the name of the table).
SELECT
    'schema' AS kind,
    s.schema_id AS object_id,
    NULL::BIGINT AS bytes,
    CASE WHEN json_extract_string(s.definition, '$.schema') = 'main' THEN json_extract_string(s.definition, '$.name')
         ELSE json_extract_string(s.definition, '$.schema') || '.' || json_extract_string(s.definition, '$.name') END AS description
FROM {{epoch}}.schemas AS s
ANTI JOIN epoch_kept_schemas AS k ON k.id = s.schema_id
ORDER BY s.schema_id
