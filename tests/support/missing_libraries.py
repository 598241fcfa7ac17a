"""Machines that lack what a package needs of the system, such as a slim container without libGL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = "libGL.so.1"
_WHERE = (
    f"import ctypes; ctypes.CDLL({LIBRARY!r})\n"
    "for line in open('/proc/self/maps'):\n"
    "    if 'libGL.so' in line: print(line.split()[-1]); break"
)


def fake_package(folder: Path) -> dict[str, str]:
    """Put a cv2 first on the path that fails as OpenCV does without libGL; return the environment for a child."""
    (folder / "cv2").mkdir(parents=True)
    message = f"{LIBRARY}: cannot open shared object file: No such file or directory"
    (folder / "cv2" / "__init__.py").write_text(f"raise ImportError({message!r})\n", encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def hidden_library() -> list[str]:
    """Return the beginning of a command line that hides libGL from a command, in a private mount namespace.

    The test is skipped where that cannot be done.
    """
    found = subprocess.run([sys.executable, "-c", _WHERE], capture_output=True, text=True, check=False)
    path = found.stdout.strip()
    if not path:
        pytest.skip(f"there is no {LIBRARY} to hide: {found.stderr.strip()[-200:]}")
    hide = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"', path]
    try:
        tried = subprocess.run([*hide, sys.executable, "-c", _WHERE], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"unshare cannot be started: {error}")
    if LIBRARY not in tried.stderr:
        pytest.skip(f"unshare --mount and mount --bind do not work for user {os.getuid()}: {tried.stderr.strip()}")
    return hide
