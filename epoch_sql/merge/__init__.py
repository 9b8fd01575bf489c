"""Merging: base, ours, theirs and decisions give the merged tree. This room moves no branch and asks no protection."""
