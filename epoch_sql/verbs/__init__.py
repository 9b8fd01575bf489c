"""The verbs that change a repository. They decide in Python and compute in DuckDB."""
