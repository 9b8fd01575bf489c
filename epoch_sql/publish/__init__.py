"""Publishing: the state of a reference as a read-only DuckDB file that any client reads."""
