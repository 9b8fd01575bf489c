"""State machines against plain models: random histories of merges, of everything, and of definitions."""
