"""Tests, in folders that mirror the rooms of the product; README.md says what proves what."""
