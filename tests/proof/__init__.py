"""Proofs of what SQL of somebody else does."""
