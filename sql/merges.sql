-- In: the merges in progress.
-- Out: the rows of epoch_merges.
SELECT
    target,
    kind,
    source,
    theirs_commit AS source_commit,
    message,
    author,
    started_at,
    (SELECT count(*) FROM {{epoch}}.conflicts AS c WHERE c.target = m.target AND NOT resolved) AS conflicts,
    (SELECT count(*) FROM {{epoch}}.violations AS v WHERE v.target = m.target) AS violations
FROM {{epoch}}.merges AS m
ORDER BY target
