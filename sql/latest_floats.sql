-- In: as for latest.sql, where DuckDB's window would give floating-point values back without the sign of -0.0.
-- Out: the same.
WITH steps AS MATERIALIZED ({{steps}}),
latest AS (SELECT {{keys}}, max(step) AS step FROM steps GROUP BY {{keys}})
SELECT steps.* EXCLUDE (step) FROM steps JOIN latest ON steps.step = latest.step AND {{same_key}}
