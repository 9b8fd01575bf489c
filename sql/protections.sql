-- In: the protected branches.
-- Out: the rows of epoch_protections.
SELECT branch, require_review, no_force_push, allow_self_review FROM {{epoch}}.protections ORDER BY branch
