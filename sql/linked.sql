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


-- name: start
-- In: the repository (?), the branch that is checked out (?).
-- Out: the state of a new worktree.
UPDATE {{epoch}}.state SET repository_id = ?, head_branch = ?
