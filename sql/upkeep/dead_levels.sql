-- In: the levels that are kept (epoch_kept_levels).
-- Out: the other levels: kind, object_id, bytes (of their files), description.
SELECT
    'level' AS kind,
    l.level_id AS object_id,
    CAST(coalesce(sum(f.bytes), 0) AS BIGINT) AS bytes,
    any_value(l.kind) AS description
FROM {{epoch}}.levels AS l
ANTI JOIN epoch_kept_levels AS k ON k.id = l.level_id
LEFT JOIN {{epoch}}.files AS f ON list_contains(l.file_ids, f.file_id)
GROUP BY l.level_id
ORDER BY l.level_id
