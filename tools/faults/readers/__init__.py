"""Damaged and hostile files for every reader: facebench's own errors alone, in bounded time and memory."""

from .fuzz import readers

__all__ = ["readers"]
