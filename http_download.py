"""One file over HTTP: go on from the bytes that are there, try again what may pass, give up on what will not."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

from .downloads import Progress, Sleep, SourceError

ATTEMPTS = 4
TIMEOUT_S = 30.0
LONGEST_WAIT_S = 30.0
CHUNK_BYTES = 1 << 16
MOST_BYTES = 1 << 36
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
LASTING_FAILURES = (socket.gaierror, ssl.SSLCertVerificationError)


class _PassingError(Exception):
    """A failure that may be gone the next time; `wait_s` is how long the server asks to wait, or 0."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def download(url: str, part: Path, size: int | None, *, progress: Progress, sleep: Sleep) -> None:
    """Fill `part` with what the server sends; nothing is sent for when it holds `size` bytes already.

    What arrived before a failure stays in `part`, so that a later call can go on from there. The caller checks the
    hash: a page of HTML with status 200, for one, is written like any other answer.

    Args:
        url: an http or https address.
        part: the file to fill.
        size: bytes expected; more than that are not read to their end. None: not known, and all are read, up to
            `MOST_BYTES`.
        progress: called after each chunk.
        sleep: waits between attempts.

    Raises:
        SourceError: the server refused, or failed on all attempts.
        OSError: `part` cannot be written.
    """
    failure = ""
    for attempt in range(ATTEMPTS):
        try:
            return _attempt(url, part, size, progress)
        except _PassingError as error:
            failure = str(error)
            if attempt < ATTEMPTS - 1:
                sleep(min(error.wait_s or 2.0**attempt, LONGEST_WAIT_S))
    raise SourceError(f"gave up after {ATTEMPTS} attempts, the last one: {failure}")


def _attempt(url: str, part: Path, size: int | None, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have == size:
        return
    most = MOST_BYTES if size is None else size
    if have > most:
        part.unlink()
        have = 0
    with _open(url, have, part) as response:
        if response.status == http.client.PARTIAL_CONTENT:
            if _range_start(response.headers) != have:
                part.unlink(missing_ok=True)
                raise _PassingError(f"asked for bytes {have}-, got {response.headers.get('Content-Range')}")
        else:
            have = 0  # the server ignores ranges and sends the whole file
        announced = response.length
        end = None if announced is None else have + announced
        with part.open("ab" if have else "wb") as out:
            while have <= most and (chunk := _read(response)):
                out.write(chunk)
                have += len(chunk)
                progress(have, size or end or 0)
    if end is not None and have < min(end, most):
        raise _PassingError(f"the connection dropped after {have} of {end} bytes")


def _open(url: str, have: int, part: Path) -> http.client.HTTPResponse:
    headers = {"User-Agent": "facebench"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S
        )
    except urllib.error.HTTPError as error:
        error.close()
        message = f"HTTP {error.code} {error.reason}"
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
            raise _PassingError(message) from error
        if error.code in PASSING_STATUS:
            raise _PassingError(message, _seconds(error.headers.get("Retry-After"))) from error
        raise SourceError(message) from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        kind = SourceError if isinstance(reason, LASTING_FAILURES) else _PassingError
        raise kind(f"no connection: {reason}") from error
    return response


def _read(response: http.client.HTTPResponse) -> bytes:
    """Read a chunk; network failures are told apart here from failures to write the file."""
    try:
        return response.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _PassingError(f"the connection dropped: {type(error).__name__} {error}") from error


def _range_start(headers: Message) -> int | None:
    """Return where a 206 answer starts: 5 for "bytes 5-9/10"."""
    start = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdecimal() else None


def _seconds(retry_after: str | None) -> float:
    """Return the seconds of a Retry-After header; 0 where there is none or it is a date."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
