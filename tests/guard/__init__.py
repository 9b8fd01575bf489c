"""Protection, reviews and checks."""
