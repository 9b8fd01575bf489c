-- In: a moment (?): moves of references since then count.
-- Out: the commits that must be kept, with everything before them: commit_id.
SELECT commit_id FROM {{epoch}}.refs
UNION
SELECT head_commit FROM {{epoch}}.state WHERE head_commit IS NOT NULL
UNION
SELECT commit_id FROM {{epoch}}.stashes
UNION
SELECT ours_commit FROM {{epoch}}.merges
UNION
SELECT theirs_commit FROM {{epoch}}.merges
UNION
SELECT unnest([old_commit, new_commit]) FROM {{epoch}}.reflog WHERE moved_at >= ?
