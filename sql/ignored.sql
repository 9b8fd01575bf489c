-- In: the patterns of names that are not versioned.
-- Out: the same, in order.
SELECT pattern FROM {{epoch}}.ignore ORDER BY pattern
