"""A model of random bytes, and a server on this machine that gives its bytes, or something else, by script."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from facebench.detectors.models.sources import Source, UrlSource
from facebench.detectors.models.store import ModelFile

CONTENT = random.Random(0).randbytes(200_000)
OTHER = random.Random(1).randbytes(200_000)
HTML = b"<!doctype html><title>Sign in</title>"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny(*sources: Source, content: bytes = CONTENT) -> ModelFile:
    return ModelFile("tiny", "tiny.onnx", sha256(content), len(content), "MIT", (), "a test file", sources)


def kept(cache: Path) -> set[str]:
    """The files of the cache apart from locks."""
    return {path.name for path in cache.iterdir()} - {"tiny.onnx.lock"}


Reply = Callable[[BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def whole(content: bytes) -> Reply:
    return lambda handler: send(handler, 200, content)


def drop_after(count: int) -> Reply:
    return lambda handler: send(handler, 200, CONTENT[:count], Content_Length=str(len(CONTENT)))


def refuse(code: int, **headers: str) -> Reply:
    return lambda handler: send(handler, code, HTML, **headers)


def ranged(handler: BaseHTTPRequestHandler) -> None:
    start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    if start >= len(CONTENT):
        send(handler, 416)
    elif start:
        send(handler, 206, CONTENT[start:], Content_Range=f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    else:
        send(handler, 200, CONTENT)


def wrong_range(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 206, CONTENT[7:], Content_Range=f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")


class Server(ThreadingHTTPServer):
    """Gives the replies listed for a path one after the other, the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: dict[str, list[Reply]] = {}
        self.ranges: defaultdict[str, list[str | None]] = defaultdict(list)

    def source(self, path: str, *replies: Reply) -> UrlSource:
        self.script[path] = list(replies)
        return UrlSource(f"http://127.0.0.1:{self.server_port}{path}")

    def handle_error(self, *args: object) -> None:
        """Say nothing of a client that has heard enough."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.ranges[path].append(self.headers.get("Range"))
        replies = self.server.script[path]
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
