"""The verbs that change a repository: they decide in Python and compute in DuckDB."""
