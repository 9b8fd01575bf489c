-- name: history
-- In: the changes of a table's rows as native values, and the commits that made them.
-- Out: the rows of epoch_history, newest first.
SELECT commits.commit_id, commits.committed_at, commits.author, {{op}} AS diff_type, {{columns}}
FROM ({{changes}}) AS changes
JOIN ({{commits}}) AS commits ON commits.position = {{position}}
ORDER BY {{order}}


-- name: blame
-- In: the keys of HEAD's rows, the place of the last change of those that changed since the table was made, and commits.
-- Out: the rows of epoch_blame.
SELECT {{outputs}}, commits.commit_id, commits.author, commits.committed_at, commits.message
FROM ({{rows}}) AS "rows"
LEFT JOIN ({{latest}}) AS latest ON {{same_key}}
JOIN ({{commits}}) AS commits ON commits.position = coalesce(latest.position, {{made}})


-- name: commit_positions
-- In: commit ids and their positions in the history, 0 being the newest.
-- Out: those commits: position, commit_id, author, committed_at, message.
SELECT positions.position, commits.commit_id, commits.author, commits.committed_at, commits.message
FROM (
    SELECT unnest(CAST({{ids}} AS VARCHAR[])) AS commit_id, unnest(CAST({{positions}} AS INTEGER[])) AS position
) AS positions
JOIN {{epoch}}.commits AS commits USING (commit_id)


-- name: latest_positions
-- In: the changes along a line of commits, and for those of merge commits, where the row comes from (keys, position, source).
-- Out: for each key, the place of the commit that set the row's current value.
WITH RECURSIVE sources AS MATERIALIZED ({{sources}}),
latest AS (
    SELECT {{keys}}, min(position) AS position FROM ({{changes}}) AS changes WHERE op <> 'removed' GROUP BY {{keys}}
    UNION ALL
    SELECT {{latest_keys}}, sources.source FROM latest JOIN sources ON sources.position = latest.position AND {{same_key}}
)
SELECT {{keys}}, max(position) AS position FROM latest GROUP BY {{keys}}


-- name: delta_steps
-- In: delta files with the same columns, and the positions of the commits whose changes they hold (one file may have many).
-- Out: their rows in the columns of HEAD, c<id> as storage values, each with its place, op and number of copies.
SELECT steps.position, {{outputs}}
FROM read_parquet({{paths}}, filename = true) AS delta
JOIN (SELECT unnest({{files}}) AS file, unnest(CAST({{positions}} AS INTEGER[])) AS position) AS steps
    ON steps.file = parse_filename(delta.filename, true)


-- name: merge_steps
-- In: the changes that merge commits make to their first parents, and the changes on the sides that they brought in
--     (sides: merge, side, position of a commit).
-- Out: the changes that no side made: the row differs from what the last change of each side left.
SELECT merges.*
FROM ({{merges}}) AS merges
ANTI JOIN (
    SELECT sides.merge, changes.*
    FROM ({{changes}}) AS changes
    JOIN ({{sides}}) AS sides USING (position)
    QUALIFY row_number() OVER (PARTITION BY sides.merge, sides.side, {{keys}} ORDER BY position) = 1
) AS brought ON brought.merge = merges.position AND {{same_row}}


-- name: merge_sources
-- In: the changes that merge commits make to their first parents, and the changes on the sides that they brought in.
-- Out: where a side's last change made the row what it is in the merge: keys, position of the merge, position of that change.
SELECT {{merge_keys}}, merges.position, min(brought.position) AS source
FROM ({{merges}}) AS merges
JOIN (
    SELECT sides.merge, changes.*
    FROM ({{changes}}) AS changes
    JOIN ({{sides}}) AS sides USING (position)
    QUALIFY row_number() OVER (PARTITION BY sides.merge, sides.side, {{keys}} ORDER BY position) = 1
) AS brought ON brought.merge = merges.position AND {{same_row}}
WHERE merges.op <> 'removed'
GROUP BY ALL


-- name: merge_copies
-- In: as for merge_steps, of a table without a key.
-- Out: the copies that merge commits add or remove beyond what their sides did.
SELECT merges.* EXCLUDE (copies), merges.copies - greatest(coalesce(brought.copies, 0), 0) AS copies
FROM ({{merges}}) AS merges
LEFT JOIN (
    SELECT
        sides.merge,
        direction.op,
        {{keys}},
        sum(CASE changes.op WHEN direction.op THEN copies ELSE -copies END)::BIGINT AS copies
    FROM ({{changes}}) AS changes
    JOIN ({{sides}}) AS sides USING (position)
    CROSS JOIN (SELECT unnest(['added', 'removed']) AS op) AS direction
    GROUP BY ALL
) AS brought ON brought.merge = merges.position AND brought.op = merges.op AND {{same_key}}
WHERE merges.copies > greatest(coalesce(brought.copies, 0), 0)


-- name: table_versions
-- In: the identity of a table.
-- Out: its version in each commit that holds it: commit_id, version_id.
SELECT commits.commit_id, trees.version_id
FROM {{epoch}}.trees AS trees
JOIN (SELECT root_id, unnest(subtree_ids) AS subtree_id FROM {{epoch}}.roots) AS roots USING (subtree_id)
JOIN {{epoch}}.commits AS commits USING (root_id)
WHERE trees.kind = 'table' AND trees.identity = ?


-- name: last_set
-- In: changes of a table by key.
-- Out: for each key, the position of the newest commit that set its row.
SELECT {{k}}, min(position) AS position
FROM ({{c}}) AS changes
WHERE op <> 'removed'
GROUP BY {{k}}


-- name: last_added
-- In: changes of a table without a key, and the position of the commit that made the table.
-- Out: for each row, the position of the newest commit that added a copy of it since.
SELECT {{k}}, min(position) AS position
FROM ({{c}}) AS changes
WHERE op = 'added' AND position <= {{made}}
GROUP BY {{k}}
