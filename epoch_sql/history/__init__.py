"""History: the log, the versions of each row, what came into a branch, and other queries over the catalog."""
