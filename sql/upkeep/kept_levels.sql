-- In: the versions that are kept (epoch_kept_versions).
-- Out: the levels that they are made of, and the deltas that lead from one of them to another: id.
SELECT unnest(v.level_ids) AS id FROM {{epoch}}.versions AS v SEMI JOIN epoch_kept_versions AS k ON k.id = v.version_id
UNION
SELECT l.level_id
FROM {{epoch}}.levels AS l
SEMI JOIN epoch_kept_versions AS k ON k.id = l.from_version
SEMI JOIN epoch_kept_versions AS k2 ON k2.id = l.to_version
