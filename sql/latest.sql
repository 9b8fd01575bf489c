-- In: the rows of several delta levels, each with the number of its level (step).
-- Out: for each key, the row of the last level that has it.
SELECT * EXCLUDE (step)
FROM ({{steps}}) AS steps
QUALIFY row_number() OVER (PARTITION BY {{keys}} ORDER BY step DESC) = 1
