-- In: the changes of a delta, and the rows that it leads from, in the columns of its shape.
-- Out: one row: the number of changes whose old row is not the row before them.
SELECT count(*)
FROM ({{changes}}) AS d
LEFT JOIN (SELECT *, true AS present FROM ({{before}}) AS before_rows) AS b ON {{same_key}}
WHERE {{wrong}}
