-- In: the changes of the incoming and of the standing side since the base, the rows of the base, and keys that were decided.
-- Out: the incoming changes; besides, of the other decided rows, "same": the base's row, which the incoming side left as it was,
-- and "absent": a row that only the standing side has.
WITH own AS MATERIALIZED ({{incoming}}),
other AS MATERIALIZED (SELECT * FROM ({{standing}}) AS standing ANTI JOIN own ON {{other_is_own}}),
decided AS ({{decided}})
SELECT * FROM own
UNION ALL BY NAME
SELECT CASE op WHEN 'added' THEN 'absent' ELSE 'same' END AS op, {{left_alone}}
FROM other SEMI JOIN decided ON {{other_is_decided}}
UNION ALL BY NAME
SELECT 'same' AS op, {{unchanged}}
FROM ({{base}}) AS base
SEMI JOIN decided ON {{base_is_decided}}
ANTI JOIN own ON {{base_is_own}}
ANTI JOIN other ON {{base_is_other}}
