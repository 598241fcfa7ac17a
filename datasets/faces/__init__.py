"""Data sets of single faces with an expression."""
