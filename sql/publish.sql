-- name: relation
-- In: the rows of a table.
-- Out: a view of them, or a table with them, in the published file.
CREATE {{kind}} {{name}} AS {{rows}}


-- name: about
-- In: a reference and its commit.
-- Out: a table macro that says what a file is of. It also shows that Epoch wrote the file.
CREATE MACRO {{name}}() AS TABLE
SELECT
    {{ref}} AS ref,
    {{commit_id}} AS commit_id,
    CAST({{committed_at}} AS TIMESTAMP) AS committed_at,
    CAST({{published_at}} AS TIMESTAMP) AS published_at


-- name: at
-- In: the names of references (refs) and the number of the state of each (states). The names of tables and views (spelled)
-- and the number of each (relations), of so many (width). For each of them, in each state, the number of its text, or 0
-- (numbers). For each text the numbers of its pieces (texts), and the pieces. A text gives rows, or is an error.
-- Out: a table macro that gives the rows of a table or view as of a reference, in plain SQL. All lists are constants, so
-- DuckDB computes the text when it binds the query.
CREATE MACRO {{name}}(ref, table_name) AS TABLE
FROM query(coalesce(
    array_to_string(list_select({{pieces}}, {{texts}}[{{numbers}}[
        {{states}}[list_position({{refs}}, ref)] * {{width}} + {{relations}}[list_position({{spelled}}, lower(table_name))]
    ]]), ''),
    error('there is no table or view ' || coalesce(table_name, 'NULL') || ' at ' || coalesce(ref, 'NULL')
        || ' in this file, which Epoch published with ' || {{known}})
))


-- name: replaced
-- In: a time, a path and a digest or NULL (?).
-- Out: nothing. The files that were at the path are noted as replaced, without the one of that digest.
UPDATE {{epoch}}.published SET replaced_at = ?
WHERE path = ? AND replaced_at IS NULL AND digest IS DISTINCT FROM ?


-- name: forget_exported
-- In: a catalog of Iceberg tables, the identity of a table, the versions that its snapshots show, and its name there (?).
-- Out: nothing. Of the table's rows, those of these versions and under this name are left, once.
DELETE FROM {{epoch}}.exported
WHERE place = ? AND table_id = ? AND (
    NOT list_contains(CAST(? AS VARCHAR[]), version_id)
    OR identifier <> CAST(? AS VARCHAR[])
    OR rowid NOT IN (SELECT max(rowid) FROM {{epoch}}.exported GROUP BY place, table_id, identifier, version_id)
)
