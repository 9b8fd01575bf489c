-- In: a working table without a key, and how often each row occurs now (n0) and occurred before (o0).
-- Out: the table with the copies that the difference adds.
INSERT INTO {{table}} ({{columns}})
SELECT {{values}} FROM (SELECT *, unnest(range(n0 - o0)) FROM {{changes}} WHERE n0 > o0) AS copies
