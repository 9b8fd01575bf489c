-- In: the changes of the incoming and of the standing side since the base, and what was decided for conflicts. Incoming rows
-- with op "same" or "absent" did not change there: they are looked at because something was decided for them.
-- Out: one row for each incoming row: key_json, k<id>; the values base b<id>, standing s<id> and incoming i<id>, and of columns
-- that are converted, as JSON, those that have no value of the merged type (h<id>, g<id>, f<id>); whether they clash x<id>, what
-- was decided y<id> and whether that settles it z<id>; the merged values n<id>, the standing ones o<id>, and op, which leads from
-- these to those (NULL: no change); row_clash where one side removed what the other modified.
WITH paired AS (
    SELECT incoming.op AS incoming_op, standing.op AS standing_op, {{key_json}} AS key_json, {{keys}}, {{sides}}
    FROM ({{incoming}}) AS incoming LEFT JOIN ({{standing}}) AS standing ON {{same_key}}
),
decided AS (
    SELECT
        *,
        {{whole_row}} AS whole_row,
        {{row_side}} AS row_side,
        CASE
            WHEN incoming_op = 'removed' AND standing_op = 'modified' AND ({{standing_changed}}) THEN {{removed_in}}
            WHEN incoming_op = 'modified' AND standing_op = 'removed' AND ({{incoming_changed}}) THEN {{modified_in}}
        END AS row_clash,
        CASE WHEN standing_op IS NULL THEN incoming_op <> 'added' ELSE standing_op <> 'removed' END AS was_there
        {{cells}}
    FROM paired
),
merged AS (
    SELECT
        *,
        CASE
            WHEN whole_row = {{standing_side}} THEN was_there
            WHEN whole_row = {{incoming_side}} THEN incoming_op NOT IN ('removed', 'absent')
            WHEN whole_row = 'base' THEN incoming_op NOT IN ('added', 'absent')
            WHEN whole_row = {{nowhere}} THEN false
            WHEN row_clash IS NOT NULL AND row_side = {{incoming_side}} THEN incoming_op <> 'removed'
            WHEN row_clash IS NOT NULL AND row_side = 'base' THEN true
            WHEN row_clash IS NOT NULL THEN standing_op <> 'removed'
            WHEN incoming_op = 'added' THEN NOT ({{withdrawn}})
            ELSE incoming_op <> 'removed' AND coalesce(standing_op, 'modified') <> 'removed'
        END AS is_there
        {{values}}
    FROM decided
)
SELECT
    *,
    row_clash IS NULL OR row_side IS NOT NULL OR whole_row IS NOT NULL AS row_settled,
    CASE WHEN incoming_op = 'added' THEN 'add/add' ELSE 'modify/modify' END AS kind,
    CASE
        WHEN is_there AND NOT was_there THEN 'added'
        WHEN was_there AND NOT is_there THEN 'removed'
        WHEN is_there AND was_there AND ({{differs}}) THEN 'modified'
    END AS op
FROM merged
