"""What brings one state of a database to another: planned as a list of steps, carried out, or printed."""
