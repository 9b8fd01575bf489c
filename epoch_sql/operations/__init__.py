"""The verbs of Epoch, one module each: they decide in Python and compute in DuckDB."""
