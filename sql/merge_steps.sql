-- In: the changes that merge commits make to their first parents, and the changes on the sides that they brought in
--     (sides: merge, side, place of a commit).
-- Out: the changes that no side made: the row differs from what the last change of each side left.
SELECT merges.*
FROM ({{merges}}) AS merges
ANTI JOIN (
    SELECT sides.merge, changes.*
    FROM ({{changes}}) AS changes
    JOIN ({{sides}}) AS sides USING (place)
    QUALIFY row_number() OVER (PARTITION BY sides.merge, sides.side, {{keys}} ORDER BY place) = 1
) AS brought ON brought.merge = merges.place AND {{same_row}}
