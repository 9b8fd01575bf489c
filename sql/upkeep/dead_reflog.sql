-- In: the moves of references, the commits that are kept (epoch_kept_commits), and the end of the grace period.
-- Out: the older moves between removed commits: kind, object_id (the sequence), bytes, description.
-- The move of an existing reference to a removed commit stays, so that `main@{2026-01-31}` never means another commit.
SELECT
    'reflog' AS kind,
    CAST(l.sequence AS VARCHAR) AS object_id,
    NULL::BIGINT AS bytes,
    l.name || ' ' || l.action AS description
FROM {{epoch}}.reflog AS l
LEFT JOIN epoch_kept_commits AS old ON old.id = l.old_commit
LEFT JOIN epoch_kept_commits AS new ON new.id = l.new_commit
LEFT JOIN {{epoch}}.refs AS r ON r.kind = l.kind AND r.name = l.name
WHERE l.moved_at < {{until}}
    AND old.id IS NULL
    AND new.id IS NULL
    AND (l.old_commit IS NOT NULL OR r.name IS NULL)
ORDER BY l.sequence DESC
