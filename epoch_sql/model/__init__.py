"""The parts of a repository, as frozen dataclasses and pure functions, without DuckDB and files."""
