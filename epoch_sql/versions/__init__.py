"""Creates versions of tables: from working tables, or by folding levels."""
