"""The SQL surface: functions and macros that turn calls into operations, and results into rows."""
