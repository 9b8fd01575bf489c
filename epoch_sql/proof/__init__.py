"""What SQL text of somebody else is, and what it would do, proved by DuckDB before any of it is executed."""
