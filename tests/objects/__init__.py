"""Whatever DuckDB can hold, in all rooms: triggers, nested schemas, comments, names."""
