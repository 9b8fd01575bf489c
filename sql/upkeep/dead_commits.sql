-- In: the commits that are kept (epoch_kept_commits).
-- Out: the other commits, newest first: kind, object_id, bytes, description.
SELECT 'commit' AS kind, c.commit_id AS object_id, NULL::BIGINT AS bytes, c.message AS description
FROM {{epoch}}.commits AS c
ANTI JOIN epoch_kept_commits AS k ON k.id = c.commit_id
ORDER BY c.sequence DESC
