-- name: list
-- In: conflicts or violations of a merge ($target), and the table that lists them.
-- Out: nothing. It lists them.
INSERT INTO {{table}} (target, {{columns}})
SELECT $target, {{columns}} FROM ({{rows}}) AS obstacles


-- name: open
-- In: a merge ($target).
-- Out: the tables with open conflicts, and how many each has.
SELECT table_name, count(*)
FROM {{epoch}}.conflicts
WHERE target = $target AND NOT resolved
GROUP BY ALL
ORDER BY ALL


-- name: table_names
-- In: a merge ($target).
-- Out: the names of the tables that it lists, and of those that were decided.
SELECT table_name FROM {{epoch}}.conflicts WHERE target = $target
UNION
SELECT table_name FROM {{epoch}}.violations WHERE target = $target
UNION
SELECT table_name FROM {{epoch}}.resolutions WHERE target = $target AND table_name IS NOT NULL


-- name: key_text
-- In: a merge ($target), one of its tables ($table), and a key ($key): its text or its JSON.
-- Out: the text of that key as it is listed.
SELECT key
FROM (
    SELECT target, table_name, key FROM {{epoch}}.conflicts
    UNION ALL
    SELECT target, table_name, key FROM {{epoch}}.violations
) AS listed
WHERE target = $target AND table_name = $table
  AND key = CASE WHEN json_valid($key) THEN CAST(json($key) AS VARCHAR) ELSE $key END


-- name: conflicts_near
-- In: a merge ($target), and the table, key and column of a scope (NULL: all).
-- Out: one row: the number of conflicts in the scope or in its rows, and of open ones.
SELECT count(*), count(*) FILTER (NOT resolved)
FROM {{epoch}}.conflicts
WHERE target = $target AND ($table IS NULL OR table_name = $table) AND ($key IS NULL OR key = $key)
  AND ($column IS NULL OR column_name IS NULL OR lower(column_name) = lower($column))


-- name: kinds
-- In: a merge ($target), and the table, key and column of a scope (NULL: all).
-- Out: the kinds of the conflicts in the scope.
SELECT DISTINCT kind
FROM {{epoch}}.conflicts
WHERE target = $target AND ($table IS NULL OR table_name = $table) AND ($key IS NULL OR key = $key)
  AND ($column IS NULL OR column_name = $column)


-- name: mark_resolved
-- In: a scope as in obstacles.kinds, and the choice for it ($side).
-- Out: nothing. What the choice resolves is marked: with both only numbers of copies.
UPDATE {{epoch}}.conflicts SET resolved = true
WHERE target = $target AND NOT resolved AND ($table IS NULL OR table_name = $table) AND ($key IS NULL OR key = $key)
  AND ($column IS NULL OR column_name = $column) AND ($side <> 'both' OR kind = 'copies')


-- name: was_forced
-- In: a merge ($target), a table and a key or NULL.
-- Out: one row: the number of decisions there for a violation, or for a value.
SELECT count(*)
FROM {{epoch}}.resolutions
WHERE target = $target AND table_name = $table AND key IS NOT DISTINCT FROM $key AND (forced OR side = 'value')


-- name: violations
-- In: a merge, and a table, a key and a constraint, each of which may be NULL (all).
-- Out: the chosen rows of epoch.violations.
SELECT *
FROM {{epoch}}.violations
WHERE target = {{target}} AND ({{table}} IS NULL OR table_name = {{table}}) AND ({{key}} IS NULL OR key = {{key}})
  AND ({{constraint}} IS NULL OR constraint_name = {{constraint}})


-- name: settled_before
-- In: as obstacles.violations.
-- Out: table_name and key of the rows and objects that violated before they were decided. None for one constraint.
SELECT DISTINCT table_name, key
FROM {{epoch}}.resolutions
WHERE target = {{target}} AND forced AND column_name IS NULL AND ({{table}} IS NULL OR table_name = {{table}})
  AND ({{key}} IS NULL OR key = {{key}}) AND {{constraint}} IS NULL


-- name: settled
-- In: violations, and rows that violated before (obstacles.settled_before).
-- Out: table_name and key of both.
SELECT table_name, key FROM ({{violating}}) AS violating UNION ({{before}})


-- name: uncaused
-- In: table_name and key of rows and objects.
-- Out: the same, as what obstacles.take decides. It follows from nothing else.
SELECT *, CAST(NULL AS VARCHAR) AS cause_table, CAST(NULL AS VARCHAR) AS cause_key FROM ({{rows}}) AS uncaused


-- name: violated_foreign_keys
-- In: violations.
-- Out: table_name and constraint_name of the foreign keys that rows violate.
SELECT DISTINCT table_name, constraint_name
FROM ({{violating}}) AS violating
WHERE kind = 'foreign key' AND key IS NOT NULL
ORDER BY ALL


-- name: parents
-- In: rows of a parent table on a side, merged rows of the child table, and the violations of a foreign key between them.
-- Out: the keys of the rows that violating rows refer to (key), and of those rows (cause_key).
SELECT DISTINCT {{key}} AS key, child.cause_key
FROM ({{parents}}) AS parent
JOIN (
    SELECT child.*, {{child_key}} AS cause_key
    FROM ({{children}}) AS child
    SEMI JOIN ({{violating}}) AS violating ON violating.key = {{child_key}}
) AS child ON {{pairs}}


-- name: because_of_rows
-- In: a table, the one that refers to it, and a query for the keys of both (obstacles.parents).
-- Out: what obstacles.take decides.
SELECT {{table}} AS table_name, key, {{cause}} AS cause_table, cause_key FROM ({{keys}}) AS keys


-- name: because_of_definition
-- In: a table or another object, and the one that needs it.
-- Out: what obstacles.take decides.
SELECT
    {{table}} AS table_name,
    CAST(NULL AS VARCHAR) AS key,
    {{cause}} AS cause_table,
    CAST(NULL AS VARCHAR) AS cause_key


-- name: take
-- In: a merge ($target), rows and definitions with what they follow from, a side for them ($side), and the number of the
-- last decision before ($since) and now ($last).
-- Out: nothing. Those are decided so that were not decided so since.
INSERT INTO {{epoch}}.resolutions (target, sequence, table_name, key, side, forced, cause_table, cause_key)
SELECT
    $target, $last + row_number() OVER (ORDER BY table_name, key, cause_table, cause_key),
    table_name, key, $side, true, cause_table, cause_key
FROM ({{rows}}) AS taken
WHERE NOT EXISTS (
    FROM {{epoch}}.resolutions AS r
    WHERE r.target = $target AND r.table_name = taken.table_name AND r.key IS NOT DISTINCT FROM taken.key
      AND r.column_name IS NULL AND r.side = $side AND r.forced AND r.sequence > $since
      AND (taken.cause_table IS NULL OR (
          r.cause_table = taken.cause_table AND r.cause_key IS NOT DISTINCT FROM taken.cause_key))
)


-- name: drop_consequences
-- In: a merge, and what is decided again (table_name, key).
-- Out: the sides of the decisions that followed from it, which are deleted.
DELETE FROM {{epoch}}.resolutions AS r
WHERE target = {{target}} AND cause_table IS NOT NULL AND EXISTS (
    FROM ({{causes}}) AS cause WHERE cause.table_name = r.cause_table AND cause.key IS NOT DISTINCT FROM r.cause_key
)
RETURNING side


-- name: drop_uncaused
-- In: a merge.
-- Out: the sides of the decisions whose cause is no longer decided, which are deleted.
DELETE FROM {{epoch}}.resolutions AS r
WHERE target = {{target}} AND cause_table IS NOT NULL AND NOT EXISTS (
    FROM {{epoch}}.resolutions AS cause
    WHERE cause.target = {{target}} AND cause.table_name = r.cause_table AND cause.key IS NOT DISTINCT FROM r.cause_key
)
RETURNING side


-- name: listed
-- In: conflicts, with JSON as text; the target whose decisions count, or NULL; a strategy, or NULL; a table, or NULL.
-- Out: the rows of epoch_conflicts. The most specific decision counts, and of equally specific ones the last.
WITH conflicts AS ({{conflicts}}),
decided AS (
    SELECT
        c.table_name,
        c.key,
        c.column_name,
        arg_max(
            struct_pack(side := r.side, value := r.value),
            row(r.key IS NOT NULL, r.column_name IS NOT NULL, r.table_name IS NOT NULL, r.sequence)
        ) AS choice
    FROM conflicts AS c
    JOIN {{epoch}}.resolutions AS r
        ON r.target = {{target}}
        AND (r.table_name IS NULL OR r.table_name = c.table_name)
        AND (r.key IS NULL OR r.key = c.key)
        AND (r.column_name IS NULL OR r.column_name = c.column_name)
    WHERE c.resolved AND (r.side <> 'both' OR c.kind = 'copies')
    GROUP BY ALL
)
SELECT
    c.table_name,
    CAST(c.key AS JSON) AS key,
    c.column_name,
    c.kind,
    CAST(c.base AS JSON) AS base,
    CAST(c.ours AS JSON) AS ours,
    CAST(c.theirs AS JSON) AS theirs,
    c.resolved,
    CASE WHEN c.resolved THEN coalesce(d.choice.side, {{strategy}}) END AS side,
    CASE WHEN c.resolved THEN d.choice.value END AS value
FROM conflicts AS c
LEFT JOIN decided AS d
    ON c.table_name = d.table_name
    AND c.key IS NOT DISTINCT FROM d.key
    AND c.column_name IS NOT DISTINCT FROM d.column_name
WHERE {{table_name}} IS NULL OR lower(c.table_name) = lower({{table_name}})
ORDER BY c.table_name, c.key, c.column_name
