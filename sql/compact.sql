-- name: affected_trees
-- In: the ids of versions (?).
-- Out: all rows of the subtrees that name one of them.
SELECT t.* FROM {{epoch}}.trees AS t
WHERE t.subtree_id IN (SELECT subtree_id FROM {{epoch}}.trees WHERE version_id IN (SELECT unnest(?::VARCHAR[])))


-- name: repoint
-- In: a catalog table, its column of roots, and two lists (?, ?): roots, and what each is replaced by.
-- Out: the table with the roots replaced.
UPDATE {{table}} AS pointing SET {{name}} = replaced.new_root
FROM (SELECT unnest(?::VARCHAR[]) AS old_root, unnest(?::VARCHAR[]) AS new_root) AS replaced
WHERE pointing.{{name}} = replaced.old_root
