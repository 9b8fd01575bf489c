"""``python -m epoch_sql.dbt`` writes the folder of the dbt package, for packages.yml.

``python -m epoch_sql.dbt build …`` runs a command of dbt, and begins again while the branch to publish to moves.
"""

import sys

from epoch_sql.dbt import PACKAGE, run

if sys.argv[1:]:
    ran = run(sys.argv[1:])
    # The exit codes of dbt.
    sys.exit(0 if ran.success else 2 if ran.exception else 1)
sys.stdout.write(f"{PACKAGE}\n")
