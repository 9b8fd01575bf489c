-- In: the levels that are kept (epoch_kept_levels).
-- Out: their files: id.
SELECT DISTINCT unnest(l.file_ids) AS id FROM {{epoch}}.levels AS l SEMI JOIN epoch_kept_levels AS k ON k.id = l.level_id
