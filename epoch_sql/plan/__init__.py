"""Plans the steps from one state of a database to another, and carries them out or prints them."""
