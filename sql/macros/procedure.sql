-- In: the function that acts, once, and returns an error or rows.
-- Out: a table macro whose rows are those, or that fails with the error.
CREATE OR REPLACE MACRO {{name}}({{parameters}}) AS TABLE
SELECT unnest(result)
FROM (
    SELECT unnest(CASE WHEN outcome.error IS NULL THEN outcome."rows" ELSE error(outcome.error) END) AS result
    FROM (SELECT {{function}}({{arguments}}) AS outcome) AS called
) AS unnested
