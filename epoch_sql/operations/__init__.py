"""The verbs of Epoch, one module each. They decide in Python and compute in DuckDB."""
