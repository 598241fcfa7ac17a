"""Batches: which images go together, and how fast they go."""
