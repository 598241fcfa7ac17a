"""Reading a run folder that may come from a stranger: its own files alone, regular ones, of a bounded size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ...errors import ResultsError

MOST_BYTES = 2**33
"""Of a table; sparse files claim any size."""


def read_inside(folder: Path, name: str, most: int = MOST_BYTES) -> bytes:
    """Return the content of a file of a folder.

    Args:
        folder: may itself be a link.
        name: of the file below it, such as "previews/previews.json"; nothing on the way may be a link.
        most: bytes.

    Raises:
        FileNotFoundError: there is none.
        ResultsError: it leads out of the folder, is a link, is not a regular file, is too large or cannot be read.
    """
    path = folder / name
    try:
        root = os.path.realpath(folder)
        if os.path.realpath(path) != f"{root.rstrip(os.sep)}{os.sep}{os.path.normpath(name)}" or ".." in path.parts[1:]:
            raise ResultsError(
                f"{path} is a link or lies outside {folder}; expected a file of that folder itself. "
                "Copy the folder with the files in place of the links: cp --recursive --dereference"
            )
        with open(path, "rb", opener=regular) as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, MemoryError) as error:
        raise ResultsError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > most:
        raise ResultsError(f"{path} is larger than {most:,} bytes, expected what facebench writes")
    return data


def regular(path: str, flags: int) -> int:
    """Open a file as `open` does with this as its `opener`: no link, no pipe and no device.

    Raises:
        OSError: it is one of these, or cannot be opened.
    """
    # without O_NONBLOCK, opening a pipe waits for somebody at its other end
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return descriptor
