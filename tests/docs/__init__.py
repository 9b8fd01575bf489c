"""The documentation is true, and reads well."""
