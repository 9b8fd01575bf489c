"""What the verbs do to branches and working tables."""
