"""Remotes: what is pushed and fetched, what is believed, and what is left when it fails."""
