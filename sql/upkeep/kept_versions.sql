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
