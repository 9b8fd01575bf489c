-- In: the keys of HEAD's rows, the place of the last change of those that changed since the table was made, and commits.
-- Out: the rows of epoch_blame.
SELECT {{outputs}}, commits.commit_id, commits.author, commits.committed_at, commits.message
FROM ({{rows}}) AS "rows"
LEFT JOIN ({{latest}}) AS latest ON {{same_key}}
JOIN ({{commits}}) AS commits ON commits.place = coalesce(latest.place, {{made}})
