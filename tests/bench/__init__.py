"""What Epoch costs against DuckDB SQL written by hand: ``python -m tests.bench [--rows N] [--growth]``."""
