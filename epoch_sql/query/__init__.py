"""Queries as of a reference: ``epoch_at`` and ``epoch_query``, and what the names in a query mean to its caller."""
