-- In: calls, a list of statements that each call a macro with more arguments than it takes.
-- Out: a row per call, in order (message: DuckDB's refusal, which lists the signatures with their defaults).
SELECT json_serialize_plan(call) ->> 'error_message' AS message
FROM (SELECT unnest({{calls}}) AS call, generate_subscripts({{calls}}, 1) AS position)
ORDER BY position
