"""One plan from one state to another, and what cannot be made."""
