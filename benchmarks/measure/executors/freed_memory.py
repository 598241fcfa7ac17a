"""Lets a process keep the memory that it frees, so that the next picture finds it there."""

from __future__ import annotations

import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""
_KEPT_BYTES = 64 * 2**20
_LARGEST_BYTES = 32 * 2**20
"""The most that glibc takes for `_MMAP_THRESHOLD`: a block above it is always asked of the system."""


def keep_freed_memory() -> None:
    """Ask the C library to give at most what exceeds 64 MB back to the system; nothing happens outside Linux.

    A decoder takes and frees a few blocks of a picture's size for each picture. Given back each time, their pages are
    faulted in and zeroed again: a fifth of the processor time of decoding, and more where several processes do it side
    by side. For processes that decode only: a detector keeps the allocator that its users have.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
