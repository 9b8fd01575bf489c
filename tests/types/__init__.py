"""Values of every type, in all rooms."""
