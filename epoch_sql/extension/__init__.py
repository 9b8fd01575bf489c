"""The SQL surface: functions and macros of a DuckDB connection that turn calls into operations, and results into rows."""
