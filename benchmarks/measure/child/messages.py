"""Messages across a socket to and from the child that holds a detector: framed, bounded, and never code.

A message is 12 bytes (a mark, the length of the header, that of the arrays), a JSON object, and the arrays, which are
float32 in the order in which the header names them with their shapes. The child runs a stranger's code, so what comes
from it may be anything: half a message, another program's output, the answer to something else.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ....errors import WorkerMessageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROTOCOL = 6
"""Version of these messages: the child may be another installed version of facebench."""
POLL_S = 0.02
"""How long a parent waits without looking at its child."""
LONGEST_HEADER = 2**20
LONGEST_ARRAYS = 2**26
"""Bytes, room for a million faces with landmarks."""

_MARK = b"\x00fb5"
_PREFIX = struct.Struct(">4sII")
_AT_ONCE = 2**12


class Message(NamedTuple):
    """What came across.

    Attributes:
        kind: what it says, such as "found".
        number: of the request that it is, or answers; 0 for the child's first word.
        fields: anything that JSON can hold.
        arrays: name -> float32, of any shape.
    """

    kind: str
    number: int
    fields: Mapping[str, Any] = MappingProxyType({})
    arrays: Mapping[str, NDArray[np.float32]] = MappingProxyType({})


class Channel:
    """One end of the socket.

    Args:
        end: connected.
        watched: whether `receive` looks around while it waits, and `send` waits for nobody.
    """

    def __init__(self, end: socket.socket, *, watched: bool = False) -> None:
        self._end = end
        self._buffer = bytearray()
        end.settimeout(POLL_S if watched else None)

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            OSError: the other end is gone; or, from a watched one, does not read what it is sent.
        """
        shapes = {name: array.shape for name, array in message.arrays.items()}
        header = json.dumps([message.kind, message.number, dict(message.fields), shapes]).encode()
        arrays = b"".join(array.tobytes() for array in message.arrays.values())
        self._end.sendall(_PREFIX.pack(_MARK, len(header), len(arrays)) + header + arrays)

    def receive(self, watch: Callable[[], None] = lambda: None) -> Message:
        """Wait for a message.

        Args:
            watch: called again and again until the message is whole; it raises where that takes too long.

        Raises:
            EOFError: the other end is closed.
            WorkerMessageError: what came is no message.
        """
        self._fill(_PREFIX.size, watch)
        mark, header, arrays = _PREFIX.unpack_from(self._buffer)
        if mark != _MARK:
            raise WorkerMessageError(f"the child sent {bytes(self._buffer[:40])!r}, which is no message")
        if header > LONGEST_HEADER or arrays > LONGEST_ARRAYS:
            raise WorkerMessageError(f"the child announced a message of {header + arrays:,} bytes, more than any has")
        whole = _PREFIX.size + header + arrays
        self._fill(whole, watch)
        if len(self._buffer) > whole:
            raise WorkerMessageError(f"the child sent {len(self._buffer) - whole:,} bytes behind its message")
        text, rest = self._buffer[_PREFIX.size : _PREFIX.size + header], self._buffer[_PREFIX.size + header :]
        self._buffer = bytearray()
        return _message(text, rest)

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def _fill(self, count: int, watch: Callable[[], None]) -> None:
        """Wait until so many bytes are there."""
        while len(self._buffer) < count:
            try:
                part = self._end.recv(max(_AT_ONCE, count - len(self._buffer)))
            except TimeoutError:
                watch()
                continue
            if not part:
                raise EOFError
            self._buffer += part
            if len(self._buffer) < count:
                watch()


def _message(text: bytearray, rest: bytearray) -> Message:
    try:
        kind, number, fields, shapes = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise WorkerMessageError(f"the child sent a message that cannot be read: {error}") from None
    if not (isinstance(kind, str) and isinstance(number, int) and isinstance(fields, dict) and _are_shapes(shapes)):
        raise WorkerMessageError(f"the child sent a message that has not its four parts: {bytes(text[:80])!r}")
    if 4 * sum(map(math.prod, shapes.values())) != len(rest):
        raise WorkerMessageError(f"the child sent {len(rest)} bytes for arrays of the shapes {shapes}")
    return Message(kind, number, fields, _arrays(shapes, rest) if shapes else {})


def _are_shapes(shapes: object) -> bool:
    return isinstance(shapes, dict) and all(
        isinstance(shape, list)
        and len(shape) <= 3
        and all(type(side) is int and 0 <= side <= LONGEST_ARRAYS for side in shape)
        for shape in shapes.values()
    )


def _arrays(shapes: Mapping[str, list[int]], rest: bytearray) -> dict[str, NDArray[np.float32]]:
    import numpy as np

    found, begin = {}, 0
    for name, shape in shapes.items():
        count = math.prod(shape)
        # a copy, so that each is aligned and owns its memory
        found[name] = np.frombuffer(rest, np.float32, count, begin).reshape(shape).copy()
        begin += 4 * count
    return found
