-- In: t, a row of epoch.trees.
-- Out: the name as ObjectName writes it.
CASE t.schema_name WHEN 'main' THEN '' ELSE t.schema_name || '.' END
|| CASE WHEN regexp_matches(t.object_name, '[."]') THEN '"' || replace(t.object_name, '"', '""') || '"' ELSE t.object_name END
