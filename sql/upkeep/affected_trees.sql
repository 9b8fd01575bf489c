-- In: the ids of versions (?).
-- Out: all rows of the subtrees that name one of them.
SELECT t.* FROM {{epoch}}.trees AS t
WHERE t.subtree_id IN (SELECT subtree_id FROM {{epoch}}.trees WHERE version_id IN (SELECT unnest(?::VARCHAR[])))
