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
