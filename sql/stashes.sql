-- In: the stashes.
-- Out: the rows of epoch_stashes, newest first.
SELECT stash_id, branch, created_at, author, message, tables_changed FROM {{epoch}}.stashes ORDER BY sequence DESC
