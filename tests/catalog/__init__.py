"""The tables of the catalog, and what a process remembers of them."""
