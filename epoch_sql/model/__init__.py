"""What a repository consists of, as frozen dataclasses and pure functions: no DuckDB, no files."""
