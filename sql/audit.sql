-- In: the audit.
-- Out: the rows of epoch_audit, newest first.
SELECT recorded_at, actor, action, ref, commit_id, detail FROM {{epoch}}.audit ORDER BY sequence DESC
