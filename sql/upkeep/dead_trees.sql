-- In: the roots that are kept (epoch_kept_roots).
-- Out: the other trees: kind, object_id, bytes, description.
SELECT 'tree' AS kind, r.root_id AS object_id, NULL::BIGINT AS bytes, NULL::VARCHAR AS description
FROM {{epoch}}.roots AS r
ANTI JOIN epoch_kept_roots AS k ON k.id = r.root_id
ORDER BY r.root_id
