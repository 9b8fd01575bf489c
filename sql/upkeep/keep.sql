-- In: the ids of what is kept.
-- Out: a temporary table of them.
CREATE OR REPLACE TEMP TABLE {{name}} AS {{ids}}
