-- In: the changes of the incoming and of the standing side since the base, of a table without a key, and what was decided.
-- Out: the changes that bring the standing rows to the merged ones: what both sides added and removed, by multiplicity.
SELECT
    *,
    CASE WHEN n0 = o0 THEN NULL WHEN o0 = 0 THEN 'added' WHEN n0 = 0 THEN 'removed' ELSE 'modified' END AS op
FROM (
    SELECT
        *,
        CASE {{whole_row}}
            WHEN {{standing_side}} THEN o0
            WHEN {{incoming_side}} THEN incoming_count
            WHEN 'base' THEN base_count
            WHEN {{nowhere}} THEN 0
            ELSE greatest(o0 + incoming_count - base_count, 0)
        END AS n0
    FROM (
        SELECT
            {{key_json}} AS key_json,
            {{keys}},
            incoming.n0 AS incoming_count,
            incoming.o0 AS base_count,
            coalesce(standing.n0, incoming.o0) AS o0
        FROM ({{incoming}}) AS incoming LEFT JOIN ({{standing}}) AS standing ON {{same_key}}
    ) AS paired
) AS counted
