-- In: the changes along a line of commits, and for those of merge commits, where the row comes from (keys, place, source).
-- Out: for each key, the place of the commit that set the row's current value.
WITH RECURSIVE sources AS MATERIALIZED ({{sources}}),
latest AS (
    SELECT {{keys}}, min(place) AS place FROM ({{changes}}) AS changes WHERE op <> 'removed' GROUP BY {{keys}}
    UNION ALL
    SELECT {{latest_keys}}, sources.source FROM latest JOIN sources ON sources.place = latest.place AND {{same_key}}
)
SELECT {{keys}}, max(place) AS place FROM latest GROUP BY {{keys}}
