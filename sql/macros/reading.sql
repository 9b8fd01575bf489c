-- In: the function that returns SQL text for the arguments.
-- Out: a table macro whose rows are those of that SQL.
CREATE OR REPLACE MACRO {{name}}({{parameters}}) AS TABLE
FROM query({{function}}({{arguments}}))
