"""The working tables: finds what the user changed, and has the DDL of definitions."""
