-- In: the checks.
-- Out: the rows of epoch_checks.
SELECT name, branch, query AS sql FROM {{epoch}}.checks ORDER BY name
