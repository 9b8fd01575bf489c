"""``python -m epoch_sql.dbt`` writes the folder of the dbt package, for packages.yml."""

import sys

from epoch_sql.dbt import PACKAGE

sys.stdout.write(f"{PACKAGE}\n")
