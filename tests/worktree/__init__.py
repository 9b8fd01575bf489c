"""Working tables: definitions that are read and made, changes that are noticed."""
