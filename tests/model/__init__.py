"""Pure functions, without DuckDB: the commit graph, names, revisions, and the rule of undone promotions."""
