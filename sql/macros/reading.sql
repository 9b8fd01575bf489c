-- In: the SQL text that a function returns for the arguments.
-- Out: a table macro whose rows are those of that SQL.
CREATE OR REPLACE MACRO {{name}}({{parameters}}) AS TABLE
FROM query({{text}})
