-- In: a working table and changes of its rows by key.
-- Out: the table with the new values of the modified rows.
UPDATE {{table}} AS target
SET {{assignments}}
FROM (FROM {{changes}} WHERE op = 'modified') AS changes
WHERE {{same_key}}
