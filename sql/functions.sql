-- name: procedures
-- In: nothing.
-- Out: Epoch's functions that act: the macro, and the function behind it.
SELECT split_part(function_name, ' ', 1), function_name
FROM duckdb_functions()
WHERE has_side_effects AND starts_with(function_name, 'epoch_')


-- name: consistent
-- In: nothing.
-- Out: the scalar functions that give the same result for the same arguments.
SELECT lower(function_name)
FROM duckdb_functions()
WHERE function_type = 'scalar'
GROUP BY 1
HAVING bool_and(stability = 'CONSISTENT')


-- name: of_system
-- In: nothing.
-- Out: DuckDB's own functions and macros: name, type, whether it acts, and the text of a macro.
SELECT lower(function_name), function_type, has_side_effects, macro_definition
FROM duckdb_functions()
WHERE database_name = 'system' AND function_type IN ('scalar', 'aggregate', 'window', 'macro')


-- name: acting
-- In: names of functions, in lower case.
-- Out: those that act.
SELECT DISTINCT lower(function_name)
FROM duckdb_functions()
WHERE lower(function_name) IN (SELECT unnest(?)) AND has_side_effects


-- name: builtin
-- In: nothing.
-- Out: the functions of the engine, and whether any overload acts.
SELECT lower(function_name), bool_or(coalesce(has_side_effects, false))
FROM duckdb_functions()
WHERE function_type IN ('scalar', 'aggregate', 'window')
GROUP BY 1


-- name: macros_of_users
-- In: nothing.
-- Out: the macros that are no part of DuckDB.
SELECT DISTINCT lower(function_name)
FROM duckdb_functions()
WHERE NOT internal AND function_type LIKE '%macro'
