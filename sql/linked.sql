-- name: storage_version
-- In: the database that SQL is rendered for (?).
-- Out: the oldest DuckDB that reads its file.
SELECT rtrim(tags['storage_version'], '+') FROM duckdb_databases() WHERE database_name = ?


-- name: attach
-- In: the path of a new file, the name that it gets, and its storage version.
-- Out: a new database.
ATTACH {{path}} AS {{name}} (STORAGE_VERSION {{version}})


-- name: copy
-- In: a table of the catalog here and there, and its columns.
-- Out: the rows of the one in the other.
INSERT INTO {{there}} ({{columns}}) SELECT {{columns}} FROM {{here}}


-- name: copy_fingerprints
-- In: the hashes of working tables here and there, and the versions of the tables there ($versions).
-- Out: the hashes of the tables that hold the same versions.
INSERT INTO {{there}} SELECT * FROM {{here}} WHERE version_id IN (SELECT unnest($versions))


-- name: copy_buckets
-- In: the buckets of working tables here and there, and the hashes there.
-- Out: the buckets of the tables that have hashes there.
INSERT INTO {{there}} SELECT * FROM {{here}} WHERE table_id IN (SELECT table_id FROM {{fingerprints}})


-- name: start
-- In: the repository (?), the branch that is checked out (?).
-- Out: the state of a new worktree.
UPDATE {{epoch}}.state SET repository_id = ?, head_branch = ?
