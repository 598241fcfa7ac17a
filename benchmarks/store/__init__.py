"""A run on disk: what was measured, as it was measured."""
