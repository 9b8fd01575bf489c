-- In: the changes of a table's rows as native values, and the commits that made them.
-- Out: the rows of epoch_history, newest first.
SELECT commits.commit_id, commits.committed_at, commits.author, {{op}} AS diff_type, {{columns}}
FROM ({{changes}}) AS changes
JOIN ({{commits}}) AS commits ON commits.place = {{place}}
ORDER BY {{order}}
