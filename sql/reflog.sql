-- In: the moves of references, and the name of one of them, or NULL.
-- Out: the rows of epoch_reflog, newest first.
SELECT name AS branch, kind, old_commit, new_commit, action, author, moved_at, route
FROM {{epoch}}.reflog
WHERE {{name}} IS NULL OR name = {{name}}
ORDER BY sequence DESC
