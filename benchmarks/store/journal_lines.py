"""The lines of a journal: JSON that ends in a checksum, a CRC-32 over what stands before it.

Journals of before have none: of their lines only what they say can be checked.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

LONGEST_LINE = 2**28
"""Bytes."""
_KEY = "crc32"
_ENDING = re.compile(rb', "crc32": "[0-9a-f]{8}"\}\n')
_ENDING_BYTES = len(b', "crc32": "01234567"}\n')


def checked_line(event: Mapping[str, Any]) -> bytes:
    """Return an event as a line with its end."""
    body = json.dumps(event).encode()[:-1]
    return b'%s, "crc32": "%08x"}\n' % (body, zlib.crc32(body))


def has_checksum(event: Mapping[str, Any]) -> bool:
    """Whether the line of an event had a checksum."""
    return _KEY in event


def parse(line: bytes, *, checked: bool) -> dict[str, Any]:
    """Read one line.

    Args:
        line: with its end.
        checked: whether it must have a checksum, as the lines before it have.

    Raises:
        ValueError: it says something else than was written, as far as that can be seen.
    """
    if _ENDING.fullmatch(line, max(0, len(line) - _ENDING_BYTES)):
        if zlib.crc32(memoryview(line)[:-_ENDING_BYTES]) != int(line[-11:-3], 16):
            raise ValueError("its checksum is another one")
    elif checked:
        raise ValueError("it has no checksum, and lines before it have one")
    event = json.loads(line)
    if not isinstance(event, dict) or "event" not in event:
        raise ValueError("expected an object with the key event")
    return event
