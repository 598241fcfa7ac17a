"""A server that trickles, or sends without end, holds nobody: times are injected or a fraction of a second."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest
from facebench import pace
from facebench.datasets import regular_files
from facebench.datasets.storage.remote import Address
from facebench.downloads import SourceError, UrlSource, no_progress, read_http
from facebench.pace import paced
from facebench.tests.support.model_store_fakes import Server


class Dripping(io.RawIOBase):
    """Gives some bytes after some seconds of a made-up clock, again and again."""

    def __init__(self, count: int, seconds: float, first_s: float = 0.0) -> None:
        super().__init__()
        self.count, self.seconds, self.now = count, seconds, -first_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        self.now = 0.0 if self.now < 0 else self.now + self.seconds
        return min(self.count, len(buffer))


@pytest.mark.parametrize(
    ("count", "seconds", "first_s", "fails"),
    [
        (1, 1.0, 0, True),
        (900, 1.0, 0, True),
        (1100, 1.0, 0, False),
        (1 << 16, 29.0, 0, False),
        (1100, 1.0, 29.0, False),
    ],
)
def test_what_trickles_fails_and_what_only_thinks_first_does_not(count, seconds, first_s, fails):
    raw = Dripping(count, seconds, first_s)
    stream = paced(raw, lambda: raw.now)
    with pytest.raises(TimeoutError, match="expected at least") if fails else contextlib.nullcontext():
        for _ in range(200):
            stream.readinto(bytearray(1 << 16))
    assert (raw.now < 62) is fails


def test_what_began_fast_and_trickles_then_fails_too():
    raw = Dripping(10**6, 0.1)
    stream = paced(raw, lambda: raw.now)
    for _ in range(100):
        stream.readinto(bytearray(10**6))
    raw.count, raw.seconds = 1, 1.0
    with pytest.raises(TimeoutError):
        for _ in range(100):
            stream.readinto(bytearray(10))


def trickle(head: bytes, part: bytes, pause_s: float) -> Callable[[BaseHTTPRequestHandler], None]:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        until = time.monotonic() + 5
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                handler.wfile.write(part)
                time.sleep(pause_s)

    return reply


OK = b"HTTP/1.0 200 OK\r\n"
SLOW = {
    "body": trickle(OK + b"Content-Length: 1000000\r\n\r\n", b"x", 0.01),
    "body of unknown length": trickle(OK + b"\r\n", b"x", 0.01),
    "header": trickle(OK + b"X: ", b"x", 0.01),
    "status": trickle(b"HTTP/1.0 200 ", b"O", 0.01),
}
ENDLESS = trickle(OK + b"\r\n", bytes(1 << 16), 0)


@pytest.fixture
def hurried(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(pace, "_PACE_S", 0.05)
    monkeypatch.setattr(pace, "_LEAST_BYTES_PER_S", 10_000)
    monkeypatch.setattr(regular_files, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr("facebench.datasets.storage.remote.MOST_BYTES", 1 << 20)
    monkeypatch.setattr("facebench.datasets.storage.remote.time", SimpleNamespace(sleep=lambda seconds: None))
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_server_is_given_up(hurried, tmp_path, kind):
    source = hurried.source("/a.bin", SLOW[kind])
    with pytest.raises(SourceError, match=r"gave up after 4 attempts.*expected at least"):
        read_http(source.url, most=1 << 20, sleep=lambda seconds: None)
    with pytest.raises(SourceError, match="gave up"):
        source.fetch_file(tmp_path / "part", 10**6, progress=no_progress, sleep=lambda seconds: None)


def test_an_endless_answer_is_read_up_to_the_limit(hurried, tmp_path):
    source = hurried.source("/a.jpg", ENDLESS)
    with pytest.raises(SourceError, match="more than 1,048,576 bytes"):
        read_http(source.url, most=1 << 20, sleep=lambda seconds: None)
    with pytest.raises(OSError, match="more than 1,048,576 bytes"):
        Address(source.url).read()
    part: Path = tmp_path / "part"
    UrlSource(source.url).fetch_file(part, 1 << 20, progress=no_progress, sleep=lambda seconds: None)
    assert part.stat().st_size <= (1 << 20) + (1 << 16)


def test_what_another_file_system_gives_is_bounded_too(monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(regular_files, "MOST_BYTES", 100)
    with fsspec.open("memory://set/giant.jpg", "wb") as file:
        file.write(bytes(101))
    with pytest.raises(OSError, match="bytes"):
        Address("memory://set/giant.jpg").read()
