-- In: the changes of a delta, and the rows that it leads from, in the columns of its shape.
-- Out: one row: how many of the changes say another old row than is there.
SELECT count(*)
FROM ({{changes}}) AS d
LEFT JOIN (SELECT *, true AS present FROM ({{before}}) AS before_rows) AS b ON {{same_key}}
WHERE {{wrong}}
