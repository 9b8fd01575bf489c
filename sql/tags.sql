-- In: the references.
-- Out: the rows of epoch_tags.
SELECT name, commit_id, author AS tagger, moved_at AS tagged_at, message FROM {{epoch}}.refs WHERE kind = 'tag' ORDER BY name
