"""Comparisons as text, Markdown, JSON and JUnit XML."""
