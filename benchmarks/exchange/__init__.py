"""Predictions of other programs in, ours out."""
