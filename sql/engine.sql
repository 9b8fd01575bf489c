-- In: nothing.
-- Out: one value that identifies the hash function of this DuckDB, and the way in which buckets are made of it.
SELECT CAST(hash(hash(42::BIGINT, 'epoch', 1.5::DOUBLE, 12.50::DECIMAL(12, 2), DATE '2020-01-01', [1, 2], {'a': 'b'}, NULL::INTEGER)) AS VARCHAR) || ' 2'
