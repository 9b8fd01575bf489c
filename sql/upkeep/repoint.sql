-- In: a catalog table, its column of roots, and two lists (?, ?): roots, and what each is replaced by.
-- Out: the table with the roots replaced.
UPDATE {{table}} AS pointing SET {{name}} = replaced.new_root
FROM (SELECT unnest(?::VARCHAR[]) AS old_root, unnest(?::VARCHAR[]) AS new_root) AS replaced
WHERE pointing.{{name}} = replaced.old_root
