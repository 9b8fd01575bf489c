"""What pyproject.toml cannot say: every package below epoch_sql, plus the two that live in top-level folders."""

from setuptools import find_packages, setup

setup(
    packages=[
        "epoch_sql",
        *(f"epoch_sql.{name}" for name in find_packages("epoch_sql")),
        "epoch_sql.sql",
        "epoch_sql.cli",
    ],
    package_dir={"epoch_sql": "epoch_sql", "epoch_sql.sql": "sql", "epoch_sql.cli": "cli"},
    package_data={
        "epoch_sql": ["py.typed"],
        "epoch_sql.sql": ["*.sql"],
        "epoch_sql.web": ["static/*", "templates/*.html"],
        "epoch_sql.dbt": ["package/*.yml", "package/macros/*.sql"],
    },
)
