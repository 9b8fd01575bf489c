"""dbt itself builds, commits and publishes."""
