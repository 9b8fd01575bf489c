-- In: the identity of a table.
-- Out: its version in each commit that holds it: commit_id, version_id.
SELECT commits.commit_id, trees.version_id
FROM {{epoch}}.trees AS trees
JOIN (SELECT root_id, unnest(subtree_ids) AS subtree_id FROM {{epoch}}.roots) AS roots USING (subtree_id)
JOIN {{epoch}}.commits AS commits USING (root_id)
WHERE trees.kind = 'table' AND trees.identity = ?
