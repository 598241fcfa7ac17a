"""Bringing a file to this machine: several sources in order, each held against what is expected, one writer at a time.

Model files and data sets are both brought this way; what they expect of the bytes, and how they word a failure, is
theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .errors import FacebenchError

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes expected (0: not known); the first can fall when a download starts
again."""

Sleep = Callable[[float], None]
"""Waits for a number of seconds."""

Check = Callable[[Path], str]
"""Looks at a file that a source sent: what is wrong with it ("sent 5 bytes, expected 7"), or an empty string."""


class SourceError(FacebenchError):
    """One source could not bring the file; the next one is tried."""


class NotBroughtError(FacebenchError):
    """No source brought the file.

    Attributes:
        failures: what became of each source, a sentence each.
        mismatch: one of them at least sent other bytes than those expected.
    """

    def __init__(self, failures: Sequence[str], mismatch: bool) -> None:
        super().__init__("; ".join(failures))
        self.failures = list(failures)
        self.mismatch = mismatch


class FileSource(Protocol):
    """Where the bytes of a file can come from. Its string is how messages name it."""

    def bring(self, part: Path, size: int | None, *, progress: Progress, sleep: Sleep) -> None:
        """Fill `part`.

        Raises:
            SourceError: the source cannot bring it.
            OSError: `part` cannot be written.
        """
        ...


@dataclass(frozen=True, slots=True)
class UrlSource:
    """An http or https address.

    Attributes:
        url: the address; it may redirect.
    """

    url: str

    def __str__(self) -> str:
        """Return how a message names this source."""
        return self.url

    def bring(self, part: Path, size: int | None, *, progress: Progress, sleep: Sleep) -> None:
        """Download into `part`, going on from the bytes that it holds.

        Raises:
            SourceError: the server could not be reached or refused.
            OSError: `part` cannot be written.
        """
        from .http_download import download  # here, because urllib costs 30 ms that only a download has to pay

        download(self.url, part, size, progress=progress, sleep=sleep)


def bring(
    target: Path,
    sources: Sequence[FileSource],
    check: Check,
    size: int | None,
    *,
    progress: Progress,
    sleep: Sleep,
) -> FileSource:
    """Put a file at `target`, from the first source whose bytes pass the check; the caller holds its lock.

    What a broken connection left is kept beside `target` with the suffix `.part`, and a later call goes on from there;
    bytes that do not pass are dropped. `target` appears whole or not at all.

    Args:
        target: where the file is to be, in a folder that exists.
        sources: the preferred one first.
        check: see `Check`.
        size: bytes expected, or None where that is not known.
        progress: called as bytes arrive.
        sleep: waits between attempts.

    Returns:
        The source that brought it.

    Raises:
        NotBroughtError: no source did.
        OSError: the file cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    failures: list[str] = []
    mismatch = False
    for source in sources:
        try:
            resumed = part.exists()
            source.bring(part, size, progress=progress, sleep=sleep)
            fault = check(part)
            if resumed and fault:  # the bytes kept from an earlier attempt may be the bad ones
                part.unlink()
                source.bring(part, size, progress=progress, sleep=sleep)
                fault = check(part)
        except SourceError as error:
            failures.append(f"{source}: {error}")
            continue
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        if not fault:
            _move(part, target)
            return source
        part.unlink()
        mismatch = True
        failures.append(f"{source} {fault}")
    raise NotBroughtError(failures, mismatch)


@contextlib.contextmanager
def locked(target: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of one file against other processes; the empty lock file, `target` with `.lock`, stays.

    Raises:
        TimeoutError: another process holds it all the time.
    """
    from filelock import FileLock, Timeout  # here, because it costs 40 ms that only a download has to pay

    lock = FileLock(f"{target}.lock", timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise TimeoutError(
            f"another process has held {lock.lock_file} for {timeout_s:.0f} s; try again when it has brought "
            f"{target.name}, or end it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, 64 lower-case hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_offline() -> bool:
    """Tell whether FACEBENCH_OFFLINE forbids downloads."""
    return os.environ.get("FACEBENCH_OFFLINE", "").lower() not in {"", "0", "false", "no"}


def no_progress(done_bytes: int, total_bytes: int) -> None:
    """Show no progress."""


def _move(part: Path, target: Path) -> None:
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(target)
