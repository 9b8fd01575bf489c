-- In: the commits that are kept (epoch_kept_commits), the stashes and the merges in progress.
-- Out: the roots of their trees: id.
SELECT c.root_id AS id FROM {{epoch}}.commits AS c SEMI JOIN epoch_kept_commits AS k ON k.id = c.commit_id
UNION
SELECT root_id FROM {{epoch}}.stashes
UNION
SELECT base_root FROM {{epoch}}.merges
UNION
SELECT theirs_root FROM {{epoch}}.merges
