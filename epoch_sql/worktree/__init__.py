"""The working tables: what the user changed in them, and bringing them to another state."""
