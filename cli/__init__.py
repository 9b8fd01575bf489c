"""The command line program: a thin layer over the SQL functions, installed as ``epoch_sql.cli``."""
