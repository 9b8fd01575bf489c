-- name: log
-- In: commits (position, commit_id, parents).
-- Out: the rows of epoch_log, in the order of the positions.
SELECT c.commit_id, wanted.parents, c.author, c.committed_at, c.message, coalesce(r.refs, []) AS refs
FROM ({{wanted}}) AS wanted
JOIN {{epoch}}.commits AS c USING (commit_id)
LEFT JOIN (SELECT commit_id, list(name ORDER BY kind, name) AS refs FROM {{epoch}}.refs GROUP BY commit_id) AS r USING (commit_id)
ORDER BY wanted.position


-- name: tags
-- In: the references.
-- Out: the rows of epoch_tags.
SELECT name, commit_id, author AS tagger, moved_at AS tagged_at, message FROM {{epoch}}.refs WHERE kind = 'tag' ORDER BY name


-- name: stashes
-- In: the stashes.
-- Out: the rows of epoch_stashes, newest first.
SELECT stash_id, branch, created_at, author, message, tables_changed FROM {{epoch}}.stashes ORDER BY sequence DESC


-- name: merges
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
    (SELECT count(*) FROM {{epoch}}.violations AS v WHERE v.target = m.target) AS violations,
    (SELECT md5(string_agg(CAST(to_json(r) AS VARCHAR), ' ' ORDER BY sequence)) FROM {{epoch}}.resolutions AS r WHERE r.target = m.target)
        AS decisions
FROM {{epoch}}.merges AS m
ORDER BY target


-- name: violations
-- In: the violations of merges in progress, and the target of one.
-- Out: the rows of epoch_violations.
SELECT table_name, constraint_name, kind, CAST(key AS JSON) AS key, detail
FROM {{epoch}}.violations
WHERE target = {{target}}
ORDER BY ALL


-- name: reflog
-- In: the moves of references, and the name of one of them, or NULL.
-- Out: the rows of epoch_reflog, newest first.
SELECT name AS branch, kind, old_commit, new_commit, action, author, moved_at, route
FROM {{epoch}}.reflog
WHERE {{name}} IS NULL OR name = {{name}}
ORDER BY sequence DESC


-- name: audit
-- In: the audit.
-- Out: the rows of epoch_audit, newest first.
SELECT recorded_at, actor, action, ref, commit_id, detail FROM {{epoch}}.audit ORDER BY sequence DESC


-- name: protections
-- In: the protected branches.
-- Out: the rows of epoch_protections.
SELECT branch, require_review, no_force_push, allow_self_review, require_fresh FROM {{epoch}}.protections ORDER BY branch


-- name: checks
-- In: the checks.
-- Out: the rows of epoch_checks.
SELECT name, branch, query AS sql FROM {{epoch}}.checks ORDER BY name


-- name: remotes
-- In: the remotes and the branches that follow theirs.
-- Out: the rows of epoch_remotes.
SELECT
    r.name,
    r.url,
    coalesce(list(u.branch ORDER BY u.branch) FILTER (u.branch IS NOT NULL), []) AS branches,
    r.trusted,
    r.readers
FROM {{epoch}}.remotes AS r
LEFT JOIN {{epoch}}.upstreams AS u ON u.remote = r.name
GROUP BY ALL
ORDER BY r.name


-- name: patterns
-- In: the patterns of names, and their kind: ignored, or derived.
-- Out: those of that kind, in order.
SELECT pattern FROM {{epoch}}.patterns WHERE kind = {{kind}} ORDER BY pattern


-- name: tables
-- In: the rows of epoch_tables with their positions, and the number of rows of those that are not stored (position, row_count).
-- Out: the rows of epoch_tables.
SELECT
    known.table_name,
    known.kind,
    known.key_columns,
    coalesce(known.row_count, counted.row_count) AS row_count,
    known.bytes,
    known.is_derived,
    known.is_stale
FROM ({{known}}) AS known
LEFT JOIN ({{counted}}) AS counted USING (position)
ORDER BY position
