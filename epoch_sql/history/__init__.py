"""History: the log, the versions of each row, the changelog of a branch, and other queries over the catalog."""
