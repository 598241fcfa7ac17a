"""Connections on which an answer that trickles fails, so that no server can hold a command for ever.

The libraries of HTTP cost 30 ms, which only a download has to pay, so functions import them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

_LEAST_BYTES_PER_S = 1000
_PACE_S = 30.0
_BLOCK_BYTES = 1 << 16


@functools.cache
def opener() -> OpenerDirector:
    """What opens addresses as `urllib.request.urlopen` does, each connection paced."""
    import http.client
    import urllib.request

    class Paced(http.client.HTTPResponse):
        def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
            super().__init__(sock, *arguments, **options)
            self.fp.close()
            self.fp = BufferedReader(paced(sock.makefile("rb", buffering=0), time.monotonic), _BLOCK_BYTES)

    class Http(http.client.HTTPConnection):
        response_class = Paced

    class Https(http.client.HTTPSConnection):
        response_class = Paced

    class HttpHandler(urllib.request.HTTPHandler):
        def http_open(self, request: Any) -> Any:
            return self.do_open(Http, request)

    class HttpsHandler(urllib.request.HTTPSHandler):
        def https_open(self, request: Any) -> Any:
            return self.do_open(Https, request)

    return urllib.request.build_opener(HttpHandler, HttpsHandler)


def paced(raw: RawIOBase, clock: Callable[[], float]) -> RawIOBase:
    """Return a stream that fails where another one trickles: headers, bodies and all.

    Once a byte is there, fewer than 1,000 bytes a second over 30 seconds of waiting are too few, as with curl's
    `--speed-limit 1000 --speed-time 30`; before that, the socket's own time limit holds. What the reader does between
    two reads is not waited for.

    Args:
        raw: what is read from.
        clock: seconds.
    """

    class PacedStream(RawIOBase):
        waited_s, arrived = 0.0, 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any, /) -> int | None:
            began = clock()
            count = raw.readinto(buffer)
            if self.arrived:
                self.waited_s += clock() - began
            self.arrived += count or 0
            if self.waited_s >= _PACE_S:
                if self.arrived < _LEAST_BYTES_PER_S * self.waited_s:
                    expected = f"at least {_LEAST_BYTES_PER_S:,} a second"
                    raise TimeoutError(f"got {self.arrived:,} bytes in {self.waited_s:.3g} s, expected {expected}")
                self.waited_s, self.arrived = 0.0, 1
            return count

        def close(self) -> None:
            raw.close()
            super().close()

    return PacedStream()
