"""One writer a folder: a results folder held while it is written into."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ...errors import ResultsError, RunLockedError


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a results folder, which need not exist yet, for writing.

    Raises:
        RunLockedError: another process holds it.
        ResultsError: the folder cannot be made, or leads elsewhere by a link.
    """
    from filelock import FileLock, Timeout

    taken = f"another facebench writes into {path}. Wait for it, or choose another --out"
    with ExitStack() as held:
        try:
            path.mkdir(parents=True, exist_ok=True)
            _refuse_links(path)
            held.enter_context(FileLock(path / ".lock", timeout=0))
            if not _hold_itself(path, held):
                raise RunLockedError(taken)
        except Timeout:
            raise RunLockedError(taken) from None
        except OSError as error:
            raise ResultsError(
                f"cannot write into {path}: {error.strerror or error}. Choose another folder with --out"
            ) from error
        _sweep(path)
        yield


def _hold_itself(path: Path, held: ExitStack) -> bool:
    """Lock the folder too, where the system can: the lock of a file is gone when somebody removes that file."""
    if sys.platform == "win32":
        return True
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    held.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems lock files alone
        pass
    return True


def _refuse_links(path: Path) -> None:
    """A folder from a stranger must not make us write, or remove, what lies elsewhere."""
    for top in (".lock", "run.json", "cells", "previews", "stress"):
        for found in [path / top, *(path / top).rglob("*")]:
            if found.is_symlink():
                raise ResultsError(f"{found} is a link; expected a results folder without. Choose another --out")


def _sweep(path: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote."""
    import psutil

    for left in path.rglob(".*.tmp"):
        writer = left.name.split(".")[-2]
        # a container gives the same number again: ours, before we have written anything
        if writer.isdecimal() and (int(writer) == os.getpid() or not psutil.pid_exists(int(writer))):
            with suppress(OSError):
                left.unlink()
