"""Immutable storage: content-addressed Parquet files, and the relations that are read from them."""
