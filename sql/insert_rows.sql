-- In: a working table and changes of its rows by key.
-- Out: the table with the added rows.
INSERT INTO {{table}} ({{columns}})
SELECT {{values}} FROM {{changes}} WHERE op = 'added'
