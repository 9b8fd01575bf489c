-- name: last_of_graph
-- In: the sequence of the last commit that a process knows.
-- Out: one row: the id of the repository, and of the commit that has this sequence now; then the last sequence.
SELECT
    repository_id,
    (SELECT any_value(commit_id) FROM {{epoch}}.commits WHERE sequence = ?),
    (SELECT coalesce(max(sequence), 0) FROM {{epoch}}.commits)
FROM {{epoch}}.state


-- name: schemas_of_table
-- In: a schema and the name of a table.
-- Out: all definitions that a table of this name ever had.
SELECT DISTINCT s.definition
FROM {{epoch}}.trees AS t
JOIN {{epoch}}.versions AS v USING (version_id)
JOIN {{epoch}}.schemas AS s USING (schema_id)
WHERE kind = 'table' AND schema_name = ? AND object_name = ?


-- name: edges
-- In: a sequence.
-- Out: the commits after it: what the graph needs to know of each.
SELECT
    c.sequence,
    c.commit_id,
    list(p.parent_id ORDER BY p.ordinal) FILTER (p.parent_id IS NOT NULL),
    c.committed_at,
    c.reverts,
    c.undoes,
    c.redoes,
    c.restores
FROM {{epoch}}.commits AS c
LEFT JOIN {{epoch}}.parents AS p USING (commit_id)
WHERE c.sequence > ?
GROUP BY ALL
ORDER BY c.sequence


-- name: head
-- In: nothing.
-- Out: one row: the branch that is checked out (NULL: none), and the commit that HEAD names.
SELECT s.head_branch, coalesce(r.commit_id, s.head_commit)
FROM {{epoch}}.state AS s
LEFT JOIN {{epoch}}.refs AS r ON r.kind = 'branch' AND r.name = s.head_branch


-- name: move_reference
-- In: the commit, who moved the reference, when and with which message; the kind and the name of the reference.
-- Out: the reference, moved.
UPDATE {{epoch}}.refs
SET commit_id = ?, author = ?, moved_at = ?, message = ?
WHERE kind = ? AND name = ?
