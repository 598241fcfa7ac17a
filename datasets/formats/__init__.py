"""Annotations in the formats that people have: read into one value, and written back."""
