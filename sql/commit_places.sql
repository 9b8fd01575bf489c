-- In: commit ids and their places in the history, 0 being the newest.
-- Out: those commits: place, commit_id, author, committed_at, message.
SELECT places.place, commits.commit_id, commits.author, commits.committed_at, commits.message
FROM (
    SELECT unnest(CAST({{ids}} AS VARCHAR[])) AS commit_id, unnest(CAST({{places}} AS INTEGER[])) AS place
) AS places
JOIN {{epoch}}.commits AS commits USING (commit_id)
