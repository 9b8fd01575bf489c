-- In: the versions and the files that are kept (epoch_kept_versions, epoch_kept_files).
-- Out: the definitions that they have: id.
SELECT v.schema_id AS id FROM {{epoch}}.versions AS v SEMI JOIN epoch_kept_versions AS k ON k.id = v.version_id
UNION
SELECT f.schema_id FROM {{epoch}}.files AS f SEMI JOIN epoch_kept_files AS k ON k.id = f.file_id
UNION
SELECT f.old_schema_id FROM {{epoch}}.files AS f SEMI JOIN epoch_kept_files AS k ON k.id = f.file_id
WHERE f.old_schema_id IS NOT NULL
