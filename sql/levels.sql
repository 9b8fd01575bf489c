-- name: state
-- In: the rows of the base level, the keys of the deltas, and the rows of those keys that are there now.
-- Out: the rows of the version: c<id> for each column, as storage values. The deltas are read once for their keys and once
-- for their rows, so that conditions reach them, and columns that nobody asks for are not read.
SELECT {{base_columns}}
FROM ({{base}}) AS base
ANTI JOIN ({{changed}}) AS delta ON {{same_key}}
UNION ALL
SELECT {{delta_columns}}
FROM ({{rows}}) AS delta


-- name: latest
-- In: the rows of several delta levels, each with the number of its level (step).
-- Out: for each key, the row of the last level that has it.
SELECT *
FROM ({{steps}}) AS steps
QUALIFY row_number() OVER (PARTITION BY {{keys}} ORDER BY step DESC) = 1


-- name: latest_floats
-- In: as for latest.sql, where DuckDB's window would give floating-point values back without the sign of -0.0.
-- Out: the same.
WITH steps AS MATERIALIZED ({{steps}}),
latest AS (SELECT {{keys}}, max(step) AS step FROM steps GROUP BY {{keys}})
SELECT * FROM steps SEMI JOIN latest ON steps.step = latest.step AND {{same_key}}


-- name: expand_copies
-- In: changes of a table without a key: how often each row occurs now (n0) and occurred before (o0), and their columns
-- besides op.
-- Out: one row for each copy that was added or removed.
SELECT CASE WHEN n0 > o0 THEN 'added' ELSE 'removed' END AS op, {{outputs}}
FROM (SELECT *, unnest(range(abs(n0 - o0))) AS copy FROM ({{changes}}) AS changes) AS copies


-- name: compose
-- In: the rows of the deltas along a path from one version to another, each with its step on the path.
-- Out: the net change, one row per key: op, the key k<id>, new values n<id>, old values o<id>.
SELECT CASE WHEN NOT existed THEN 'added' WHEN NOT exists_now THEN 'removed' ELSE 'modified' END AS op, {{outputs}}
FROM (
    SELECT
        {{keys}},
        arg_min(op <> 'added', step) AS existed,
        arg_max(op <> 'removed', step) AS exists_now,
        {{aggregates}}
    FROM ({{steps}}) AS steps
    GROUP BY {{keys}}
) AS net
WHERE (existed OR exists_now) AND (existed <> exists_now OR {{differs}})


-- name: compare
-- In: the rows of two states of a table, columns c<id> as storage values; "present" marks a row that exists.
-- Out: their difference, one row per key: op, the key k<id>, new values n<id>, old values o<id>.
SELECT
    CASE WHEN b.present IS NULL THEN 'added' WHEN a.present IS NULL THEN 'removed' ELSE 'modified' END AS op,
    {{outputs}}
FROM (SELECT *, true AS present FROM ({{before}}) AS before_rows) AS b
FULL JOIN (SELECT *, true AS present FROM ({{after}}) AS after_rows) AS a ON {{same_key}}
WHERE b.present IS NULL OR a.present IS NULL OR {{differs}}


-- name: needing_file
-- In: the id of a file (?).
-- Out: the tables and commits that cannot be read without it, newest commit first: table_name, commit_id.
SELECT DISTINCT
    {{object_name}} AS table_name,
    c.commit_id,
    c.sequence
FROM {{epoch}}.levels AS l
JOIN {{epoch}}.versions AS v ON list_contains(v.level_ids, l.level_id) OR v.version_id IN (l.from_version, l.to_version)
JOIN {{epoch}}.trees AS t ON t.version_id = v.version_id
JOIN {{epoch}}.roots AS r ON list_contains(r.subtree_ids, t.subtree_id)
JOIN {{epoch}}.commits AS c ON c.root_id = r.root_id
WHERE list_contains(l.file_ids, ?)
ORDER BY c.sequence DESC


-- name: edges
-- In: the identity of a table (?).
-- Out: the deltas between two versions of it, in the columns of epoch.levels.
WITH versions AS (SELECT version_id FROM {{epoch}}.versions WHERE table_id = ?)
FROM {{epoch}}.levels
WHERE to_version IN (FROM versions) AND from_version IN (FROM versions)


-- name: between
-- In: some versions, and others (?).
-- Out: the deltas that lead from one of the former to one of the latter, in the columns of epoch.levels.
FROM {{epoch}}.levels
WHERE kind = 'delta' AND from_version IN (SELECT unnest(?::VARCHAR[])) AND to_version IN (SELECT unnest(?::VARCHAR[]))
