"""The memory through which images reach the child: it reads there what the parent wrote, without a copy."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import tempfile
from typing import IO

import numpy as np

from ....detectors import RGBImage
from ....errors import FacebenchError


class Arena:
    """Room for the images of one call, which grows with the largest.

    Raises:
        FacebenchError: there is neither memory with a file descriptor nor a temporary folder.
    """

    def __init__(self) -> None:
        self._file = _nameless_memory()
        self._memory: mmap.mmap | None = None

    def fileno(self) -> int:
        """Return the descriptor for the child."""
        return self._file.fileno()

    def put(self, *images: RGBImage) -> int:
        """Copy images into it, one behind the other, and return how large it is now, bytes.

        Raises:
            FacebenchError: there is no room.
        """
        needed = sum(image.nbytes for image in images)
        if self._memory is None or len(self._memory) < needed:
            capacity = -(-needed // mmap.PAGESIZE) * mmap.PAGESIZE
            self._make_room(capacity)
            self._memory = mmap.mmap(self.fileno(), capacity)
        begin = 0
        for image in images:
            view = np.frombuffer(self._memory, dtype=np.uint8, count=image.nbytes, offset=begin)
            np.copyto(view.reshape(image.shape), image)
            begin += image.nbytes
        return len(self._memory)

    def close(self) -> None:
        """Free it."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._file.close()

    def _make_room(self, capacity: int) -> None:
        """Grow, and really: without room behind it, writing an image would end us by SIGBUS."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.fileno(), 0, capacity)
            else:
                self._file.truncate(capacity)
        except OSError as error:
            raise FacebenchError(
                f"shared memory has no room for images of {capacity / 2**20:,.1f} MB: {error.strerror or error}. "
                "Free some memory, or give the container more"
            ) from error


def _nameless_memory() -> IO[bytes]:
    """Return a file in memory; it needs no folder, which may be read-only or tiny."""
    with contextlib.suppress(AttributeError, OSError):  # only Linux has it, and a sandbox may refuse it
        file = os.memfd_create("facebench", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # the child has it too: if it made it smaller, writing an image would end us by SIGBUS
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        return os.fdopen(file, "w+b", buffering=0)
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise FacebenchError(
            f"no temporary file for images can be made: {error.strerror or error}. Free some"
        ) from error
