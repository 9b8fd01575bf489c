-- In: the roots that are kept (epoch_kept_roots).
-- Out: their subtrees: id.
SELECT DISTINCT unnest(r.subtree_ids) AS id FROM {{epoch}}.roots AS r SEMI JOIN epoch_kept_roots AS k ON k.id = r.root_id
