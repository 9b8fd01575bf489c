-- In: the function that acts, once, and returns rows or an error: its text, or its document (extension.failing says why).
-- Out: a table macro whose rows are those, or that fails with the error.
CREATE OR REPLACE MACRO {{name}}({{parameters}}) AS TABLE
SELECT unnest(result)
FROM (
    SELECT unnest(
        CASE WHEN outcome.error IS NULL THEN outcome."rows"
        ELSE error(CASE WHEN outcome.is_document THEN json_deserialize_sql(outcome.error) ELSE outcome.error END) END
    ) AS result
    FROM (SELECT {{function}}({{arguments}}) AS outcome) AS called
) AS unnested
