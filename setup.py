"""What pyproject.toml cannot say: every package below epoch_sql, the two that live in top-level folders, and the one
that stands beside epoch_sql."""

from setuptools import find_packages, setup

setup(
    packages=[
        "epoch_sql",
        *(f"epoch_sql.{name}" for name in find_packages("epoch_sql", exclude=["spark.pyspark_epoch"])),
        "epoch_sql.sql",
        "epoch_sql.cli",
        # Spark looks for packages of such names.
        "pyspark_epoch",
    ],
    package_dir={
        "epoch_sql": "epoch_sql",
        "epoch_sql.sql": "sql",
        "epoch_sql.cli": "cli",
        "pyspark_epoch": "epoch_sql/spark/pyspark_epoch",
    },
    package_data={
        "epoch_sql": ["py.typed"],
        "epoch_sql.extension": ["declared.json"],
        "epoch_sql.sql": ["*.sql"],
        "epoch_sql.web": ["static/*", "templates/*.html"],
        "epoch_sql.dbt": ["package/*.yml", "package/macros/*.sql"],
    },
)
