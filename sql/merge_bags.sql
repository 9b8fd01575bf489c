-- In: the changes of the incoming and of the standing side since the base, of a table without a key.
-- Out: the changes that bring the standing rows to the merged ones: what both sides added and removed, by multiplicity.
SELECT
    *,
    CASE WHEN n0 = o0 THEN NULL WHEN o0 = 0 THEN 'added' WHEN n0 = 0 THEN 'removed' ELSE 'modified' END AS op
FROM (
    SELECT
        CAST(NULL AS VARCHAR) AS key_json,
        {{keys}},
        greatest(coalesce(standing.n0, incoming.o0) + incoming.n0 - incoming.o0, 0) AS n0,
        coalesce(standing.n0, incoming.o0) AS o0
    FROM ({{incoming}}) AS incoming LEFT JOIN ({{standing}}) AS standing ON {{same_key}}
) AS counted
