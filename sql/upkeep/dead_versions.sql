-- In: the versions that are kept (epoch_kept_versions).
-- Out: the other versions of tables: kind, object_id, bytes, description (the name of the table).
SELECT
    'version' AS kind,
    v.version_id AS object_id,
    NULL::BIGINT AS bytes,
    min({{object_name}}) AS description
FROM {{epoch}}.versions AS v
ANTI JOIN epoch_kept_versions AS k ON k.id = v.version_id
LEFT JOIN {{epoch}}.trees AS t ON t.version_id = v.version_id
GROUP BY v.version_id
ORDER BY description, object_id
