-- name: marks
-- In: a moment (?): moves of references since then count.
-- Out: the commits that must be kept, with everything before them: commit_id.
SELECT commit_id FROM {{epoch}}.refs
UNION
SELECT head_commit FROM {{epoch}}.state WHERE head_commit IS NOT NULL
UNION
SELECT commit_id FROM {{epoch}}.stashes
UNION
SELECT ours_commit FROM {{epoch}}.merges
UNION
SELECT theirs_commit FROM {{epoch}}.merges
UNION
SELECT unnest([old_commit, new_commit]) FROM {{epoch}}.reflog WHERE moved_at >= ?


-- name: marks_of_worktree
-- In: the catalog of another worktree, of its own database.
-- Out: the commits that it needs, with everything before them: commit_id.
SELECT commit_id FROM epoch.refs
UNION
SELECT head_commit FROM epoch.state WHERE head_commit IS NOT NULL
UNION
SELECT commit_id FROM epoch.stashes
UNION
SELECT unnest([ours_commit, theirs_commit]) FROM epoch.merges


-- name: keep
-- In: the ids of what is kept.
-- Out: a temporary table of them.
CREATE OR REPLACE TEMP TABLE {{name}} AS {{ids}}


-- name: kept_roots
-- In: the commits that are kept (epoch_kept_commits), the stashes and the merges in progress.
-- Out: the roots of their trees: id.
SELECT c.root_id AS id FROM {{epoch}}.commits AS c SEMI JOIN epoch_kept_commits AS k ON k.id = c.commit_id
UNION
SELECT root_id FROM {{epoch}}.stashes
UNION
SELECT base_root FROM {{epoch}}.merges
UNION
SELECT theirs_root FROM {{epoch}}.merges


-- name: kept_trees
-- In: the roots that are kept (epoch_kept_roots).
-- Out: their subtrees: id.
SELECT DISTINCT unnest(r.subtree_ids) AS id FROM {{epoch}}.roots AS r SEMI JOIN epoch_kept_roots AS k ON k.id = r.root_id


-- name: kept_versions
-- In: the subtrees that are kept (epoch_kept_trees).
-- Out: the kept versions: id. No tree has a compacted version any more. It is kept as a stepping stone while a delta leads
-- from it, or to it, to another kept version than its compacted form.
WITH RECURSIVE named AS (
    SELECT DISTINCT t.version_id AS id
    FROM {{epoch}}.trees AS t
    SEMI JOIN epoch_kept_trees AS k ON k.id = t.subtree_id
    WHERE t.version_id IS NOT NULL
), twins AS (
    SELECT old.version_id AS old_id, new.version_id AS new_id
    FROM {{epoch}}.levels AS l
    JOIN {{epoch}}.versions AS old ON old.version_id = l.from_version
    JOIN {{epoch}}.versions AS new ON new.version_id = l.to_version
    WHERE len(l.file_ids) = 0 AND old.fingerprint = new.fingerprint AND old.schema_id = new.schema_id
), stones AS (
    SELECT id FROM named
    UNION
    SELECT t.old_id FROM stones AS s JOIN twins AS t ON t.new_id = s.id
), edges AS (
    SELECT from_version AS id, to_version AS other FROM {{epoch}}.levels
    UNION ALL
    SELECT to_version, from_version FROM {{epoch}}.levels
)
SELECT id FROM named
UNION
SELECT s.id
FROM stones AS s
JOIN edges AS e ON e.id = s.id
JOIN stones AS other ON other.id = e.other
LEFT JOIN twins AS t ON t.old_id = s.id AND t.new_id = e.other
WHERE t.old_id IS NULL


-- name: kept_schemas
-- In: the versions and the files that are kept (epoch_kept_versions, epoch_kept_files).
-- Out: the definitions that they have: id.
SELECT v.schema_id AS id FROM {{epoch}}.versions AS v SEMI JOIN epoch_kept_versions AS k ON k.id = v.version_id
UNION
SELECT f.schema_id FROM {{epoch}}.files AS f SEMI JOIN epoch_kept_files AS k ON k.id = f.file_id
UNION
SELECT f.old_schema_id FROM {{epoch}}.files AS f SEMI JOIN epoch_kept_files AS k ON k.id = f.file_id
WHERE f.old_schema_id IS NOT NULL


-- name: kept_levels
-- In: the versions that are kept (epoch_kept_versions).
-- Out: the levels that they are made of, and the deltas that lead from one of them to another: id.
SELECT unnest(v.level_ids) AS id FROM {{epoch}}.versions AS v SEMI JOIN epoch_kept_versions AS k ON k.id = v.version_id
UNION
SELECT l.level_id
FROM {{epoch}}.levels AS l
SEMI JOIN epoch_kept_versions AS k ON k.id = l.from_version
SEMI JOIN epoch_kept_versions AS k2 ON k2.id = l.to_version


-- name: kept_files
-- In: the levels that are kept (epoch_kept_levels), the published files, the Iceberg tables, and the end of the grace period.
-- Out: the files of these levels, those that Iceberg tables read, and those that published files read, or did within the
-- grace period: id.
SELECT unnest(l.file_ids) AS id FROM {{epoch}}.levels AS l SEMI JOIN epoch_kept_levels AS k ON k.id = l.level_id
UNION
SELECT unnest(file_ids) FROM {{epoch}}.published WHERE replaced_at IS NULL OR replaced_at >= {{until}}
UNION
SELECT unnest(file_ids) FROM {{epoch}}.exported


-- name: sweep_published
-- In: the end of the grace period (?).
-- Out: the published files without those that were replaced before.
DELETE FROM {{epoch}}.published WHERE replaced_at < ?


-- name: sweep_compacted
-- In: the versions and the files that are kept (epoch_kept_versions, epoch_kept_files).
-- Out: the compacted versions that are kept, with all of their files.
DELETE FROM {{epoch}}.compacted
WHERE version_id NOT IN (SELECT id FROM epoch_kept_versions)
   OR version_id IN (
       SELECT c.version_id
       FROM (SELECT version_id, unnest(file_ids) AS file_id FROM {{epoch}}.compacted) AS c
       ANTI JOIN epoch_kept_files AS k ON k.id = c.file_id
   )



-- name: dead_commits
-- In: the commits that are kept (epoch_kept_commits).
-- Out: the other commits, newest first: kind, object_id, bytes, description.
SELECT 'commit' AS kind, c.commit_id AS object_id, NULL::BIGINT AS bytes, c.message AS description
FROM {{epoch}}.commits AS c
ANTI JOIN epoch_kept_commits AS k ON k.id = c.commit_id
ORDER BY c.sequence DESC


-- name: dead_reflog
-- In: the moves of references, the commits that are kept (epoch_kept_commits), and the end of the grace period.
-- Out: the older moves between removed commits: kind, object_id (the sequence), bytes, description.
-- The move of an existing reference to a removed commit stays, so that `main@{2026-01-31}` never means another commit.
SELECT
    'reflog' AS kind,
    CAST(l.sequence AS VARCHAR) AS object_id,
    NULL::BIGINT AS bytes,
    l.name || ' ' || l.action AS description
FROM {{epoch}}.reflog AS l
LEFT JOIN epoch_kept_commits AS old ON old.id = l.old_commit
LEFT JOIN epoch_kept_commits AS new ON new.id = l.new_commit
LEFT JOIN {{epoch}}.refs AS r ON r.kind = l.kind AND r.name = l.name
WHERE l.moved_at < {{until}}
    AND old.id IS NULL
    AND new.id IS NULL
    AND (l.old_commit IS NOT NULL OR r.name IS NULL)
ORDER BY l.sequence DESC


-- name: dead_trees
-- In: the roots that are kept (epoch_kept_roots).
-- Out: the other trees: kind, object_id, bytes, description.
SELECT 'tree' AS kind, r.root_id AS object_id, NULL::BIGINT AS bytes, NULL::VARCHAR AS description
FROM {{epoch}}.roots AS r
ANTI JOIN epoch_kept_roots AS k ON k.id = r.root_id
ORDER BY r.root_id


-- name: dead_versions
-- In: the versions that are kept (epoch_kept_versions).
-- Out: the other versions of tables: kind, object_id, bytes, description (the name of the table).
SELECT
    'version' AS kind,
    v.version_id AS object_id,
    NULL::BIGINT AS bytes,
    min({{object_name}}) AS description
FROM {{epoch}}.versions AS v
ANTI JOIN epoch_kept_versions AS k ON k.id = v.version_id
LEFT JOIN {{epoch}}.trees AS t ON t.version_id = v.version_id
GROUP BY v.version_id
ORDER BY description, object_id


-- name: dead_schemas
-- In: the definitions that are kept (epoch_kept_schemas).
-- Out: the other definitions of tables: kind, object_id, bytes, description (the name of the table).
SELECT
    'schema' AS kind,
    s.schema_id AS object_id,
    NULL::BIGINT AS bytes,
    CASE WHEN json_extract_string(s.definition, '$.schema') = 'main' THEN json_extract_string(s.definition, '$.name')
         ELSE json_extract_string(s.definition, '$.schema') || '.' || json_extract_string(s.definition, '$.name') END AS description
FROM {{epoch}}.schemas AS s
ANTI JOIN epoch_kept_schemas AS k ON k.id = s.schema_id
ORDER BY s.schema_id


-- name: dead_levels
-- In: the levels that are kept (epoch_kept_levels).
-- Out: the other levels: kind, object_id, bytes (of their files), description.
SELECT
    'level' AS kind,
    l.level_id AS object_id,
    CAST(coalesce(sum(f.bytes), 0) AS BIGINT) AS bytes,
    any_value(l.kind) AS description
FROM {{epoch}}.levels AS l
ANTI JOIN epoch_kept_levels AS k ON k.id = l.level_id
LEFT JOIN {{epoch}}.files AS f ON list_contains(l.file_ids, f.file_id)
GROUP BY l.level_id
ORDER BY l.level_id


-- name: sweep
-- In: a catalog table, its column of ids, and the ids that are kept.
-- Out: the table without its other rows.
DELETE FROM {{table}} WHERE NOT EXISTS (SELECT 1 FROM {{kept}} AS kept WHERE kept.id = {{column}})
