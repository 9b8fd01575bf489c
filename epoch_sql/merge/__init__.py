"""Merging: base, ours, theirs and decisions give the merged tree; nothing is moved here, and nobody is asked."""
