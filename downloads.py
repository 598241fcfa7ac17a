"""Fetching a file to this machine: several sources in order, each compared with what is expected, one writer at a time.

Model files and data sets are both fetched this way; what they expect of the bytes, and how they word a failure, is
theirs. Here is also the one HTTP client: it goes on from the bytes that are there, tries again what may pass and gives
up on what will not, on an answer that is larger than it may be, and on one that trickles (`pace`). Its libraries cost
30 ms, which only a download has to pay, so functions import them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from .errors import FacebenchError
from .pace import opener

if TYPE_CHECKING:
    from email.message import Message
    from http.client import HTTPResponse

_ATTEMPTS = 4
_TIMEOUT_S = 30.0
_LONGEST_WAIT_S = 30.0
_CHUNK_BYTES = 1 << 16
_MOST_BYTES = 1 << 36
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

_Result = TypeVar("_Result")

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes expected (0: not known); the first can fall when a download starts
again."""

Sleep = Callable[[float], None]
"""Waits for a number of seconds."""

Check = Callable[[Path], str]
"""Looks at a file that a source sent: what is wrong with it ("sent 5 bytes, expected 7"), or an empty string."""


class SourceError(FacebenchError):
    """One source could not fetch the file; the next one is tried."""


class NotFetchedError(FacebenchError):
    """No source sent the file.

    Attributes:
        failures: what became of each source, one sentence each.
        mismatch: one of them at least sent other bytes than those expected.
    """

    def __init__(self, failures: Sequence[str], mismatch: bool) -> None:
        super().__init__("; ".join(failures))
        self.failures = list(failures)
        self.mismatch = mismatch


class FileSource(Protocol):
    """Where the bytes of a file can come from. Its string is how messages name it."""

    def fetch_file(self, part: Path, size: int | None, *, progress: Progress, sleep: Sleep) -> None:
        """Fill `part`.

        Raises:
            SourceError: the source cannot fetch it.
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

    def fetch_file(self, part: Path, size: int | None, *, progress: Progress, sleep: Sleep) -> None:
        """Download into `part`, going on from the bytes that it holds.

        Nothing is sent for when it holds `size` bytes already; more than that are not read to their end. What arrived
        before a failure stays in `part`. The caller checks the hash: a page of HTML with status 200, for one, is
        written like any other answer.

        Raises:
            SourceError: the server refused, or failed on all attempts.
            OSError: `part` cannot be written.
        """
        _persist(lambda: _download(self.url, part, size, progress), sleep)


def fetch_file(
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
        The source that fetched it.

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
            source.fetch_file(part, size, progress=progress, sleep=sleep)
            fault = check(part)
            if resumed and fault:  # the bytes kept from an earlier attempt may be the bad ones
                part.unlink()
                source.fetch_file(part, size, progress=progress, sleep=sleep)
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
    raise NotFetchedError(failures, mismatch)


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
            f"another process has held {lock.lock_file} for {timeout_s:.0f} s; try again when it has fetched "
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


def read_http(url: str, start: int | None = None, end: int = 0, *, most: int, sleep: Sleep) -> tuple[bytes, int]:
    """Return bytes of an address, all or from `start` up to `end`; and how many the whole has, 0 where that is unknown.

    Args:
        url: the address; it may redirect.
        start: of the part; None for all.
        end: of the part.
        most: bytes that all may have; a part has `end - start`.
        sleep: waits between attempts.

    Raises:
        SourceError: the server refused, failed on all attempts, gives no parts of files, or sends more than it may.
    """
    if start is not None:
        most = end - start

    def read() -> tuple[bytes, int]:
        with _open(url, "" if start is None else f"{start}-{end - 1}") as response:
            if start is not None and response.status != _PARTIAL_CONTENT:
                raise SourceError("the server gives no parts of files; download it and name the file")
            whole = response.headers.get("Content-Range", "").rpartition("/")[2]
            return _read_all(response, most), int(whole) if whole.isdecimal() else 0

    return _persist(read, sleep)


class _PassingError(Exception):
    """A failure that may be gone the next time.

    Attributes:
        wait_s: how long the server asks to wait, or 0.
        status: of the answer, or 0.
    """

    def __init__(self, message: str, wait_s: float = 0.0, status: int = 0) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.status = status


def _persist(attempt: Callable[[], _Result], sleep: Sleep) -> _Result:
    failure = ""
    for number in range(_ATTEMPTS):
        try:
            return attempt()
        except _PassingError as error:
            failure = str(error)
            if number < _ATTEMPTS - 1:
                sleep(min(error.wait_s or 2.0**number, _LONGEST_WAIT_S))
    raise SourceError(f"gave up after {_ATTEMPTS} attempts, the last one: {failure}")


def _download(url: str, part: Path, size: int | None, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have == size:
        return
    most = _MOST_BYTES if size is None else size
    if have > most:
        part.unlink()
        have = 0
    try:
        response = _open(url, f"{have}-" if have else "")
    except _PassingError as error:
        if error.status == _RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
        raise
    with response:
        if response.status == _PARTIAL_CONTENT:
            if _range_start(response.headers) != have:
                part.unlink(missing_ok=True)
                raise _PassingError(f"asked for bytes {have}-, got {response.headers.get('Content-Range')}")
        else:
            have = 0  # the server ignores ranges and sends the whole file
        announced = response.length
        end = None if announced is None else have + announced
        with part.open("ab" if have else "wb") as out:
            while have <= most and (chunk := _read(response, _CHUNK_BYTES)):
                out.write(chunk)
                have += len(chunk)
                progress(have, size or end or 0)
    if end is not None and have < min(end, most):
        raise _PassingError(f"the connection dropped after {have} of {end} bytes")


def _open(url: str, byte_range: str) -> HTTPResponse:
    """Send a request, for some bytes ("5-" or "5-9") or for all.

    Raises:
        _PassingError: it may work the next time.
        SourceError: it will not.
    """
    import http.client
    import socket
    import ssl
    import urllib.error
    import urllib.request

    headers = {"User-Agent": "facebench"} | ({"Range": f"bytes={byte_range}"} if byte_range else {})
    try:
        response: HTTPResponse = opener().open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        message = f"HTTP {error.code} {error.reason}"
        if error.code in _PASSING_STATUS or error.code == _RANGE_NOT_SATISFIABLE:
            raise _PassingError(message, _seconds(error.headers.get("Retry-After")), error.code) from error
        raise SourceError(message) from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        lasting = isinstance(reason, socket.gaierror | ssl.SSLCertVerificationError)
        raise (SourceError if lasting else _PassingError)(f"no connection: {reason}") from error
    return response


def _read_all(response: HTTPResponse, most: int) -> bytes:
    """Read an answer to its end.

    Raises:
        SourceError: it has more bytes than it may; none but those are read.
    """
    parts, size = [], 0
    while part := _read(response, _CHUNK_BYTES):
        size += len(part)
        if size > most:
            raise SourceError(f"sent more than {most:,} bytes, the most that is read")
        parts.append(part)
    if response.length:
        raise _PassingError(f"the connection dropped with {response.length:,} bytes to come")
    return b"".join(parts)


def _read(response: HTTPResponse, most: int) -> bytes:
    """Read a chunk; network failures are distinguished here from failures to write the file."""
    from http.client import HTTPException

    try:
        return response.read(most)
    except (OSError, HTTPException) as error:
        raise _PassingError(f"the connection dropped: {type(error).__name__} {error}") from error


def _range_start(headers: Message) -> int | None:
    """Return where a 206 answer starts: 5 for "bytes 5-9/10"."""
    start = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdecimal() else None


def _seconds(retry_after: str | None) -> float:
    """Return the seconds of a Retry-After header; 0 where there is none or it is a date."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0


def _move(part: Path, target: Path) -> None:
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(target)
