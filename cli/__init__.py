"""The command line program: a thin skin over the SQL functions, installed as ``epoch_sql.cli``."""
