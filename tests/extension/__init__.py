"""The SQL surface: its contract, and from where it can be called."""
