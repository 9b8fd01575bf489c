"""Values as they are stored."""
