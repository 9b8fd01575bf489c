-- In: the remotes and the branches that follow theirs.
-- Out: the rows of epoch_remotes.
SELECT
    r.name,
    r.url,
    coalesce(list(u.branch ORDER BY u.branch) FILTER (u.branch IS NOT NULL), []) AS branches,
    r.trusted
FROM {{epoch}}.remotes AS r
LEFT JOIN {{epoch}}.upstreams AS u ON u.remote = r.name
GROUP BY r.name, r.url, r.trusted
ORDER BY r.name
