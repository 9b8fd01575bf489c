-- In: commit ids in the order in which they are to be listed.
-- Out: the rows of epoch_log.
SELECT c.commit_id, coalesce(p.parents, []) AS parents, c.author, c.committed_at, c.message, coalesce(r.refs, []) AS refs
FROM (SELECT unnest(CAST({{ids}} AS VARCHAR[])) AS commit_id, generate_subscripts(CAST({{ids}} AS VARCHAR[]), 1) AS place) AS wanted
JOIN {{epoch}}.commits AS c USING (commit_id)
LEFT JOIN (
    SELECT commit_id, list(parent_id ORDER BY ordinal) AS parents FROM {{epoch}}.parents GROUP BY commit_id
) AS p USING (commit_id)
LEFT JOIN (SELECT commit_id, list(name ORDER BY kind, name) AS refs FROM {{epoch}}.refs GROUP BY commit_id) AS r USING (commit_id)
ORDER BY wanted.place
