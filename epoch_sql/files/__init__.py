"""Tables from files, and states in files."""
