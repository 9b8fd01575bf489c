"""Queries at a reference: ``epoch_at`` and ``epoch_query``, and what the names of a query mean to its caller."""
