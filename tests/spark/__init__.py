"""Epoch on Spark: the same rows, differences and errors as in DuckDB, on Sail and on Spark itself."""
