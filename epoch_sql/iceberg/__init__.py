"""Branches and tags as those of Iceberg tables, for any engine that reads Iceberg."""
