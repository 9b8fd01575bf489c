-- In: a working table and changes of its rows by key.
-- Out: the table without the removed rows.
DELETE FROM {{table}} AS target
USING (FROM {{changes}} WHERE op = 'removed') AS changes
WHERE {{same_key}}
