"""Finding the place of a value in a JSON text, which the standard library forgets; asked for only where a fault is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def line_of(text: str, *path: str | int) -> int:
    r"""Return the line, from 1, on which a value begins.

    Args:
        text: JSON that can be parsed.
        path: keys and indices that lead to the value.

    >>> line_of('{"a": 1,\n "b": [7,\n 8]}', "b", 1)
    3
    """
    at = _skip(text, 0)
    for step in path:
        children = _members(text, at) if text[at] == "{" else _elements(text, at)
        at = next(begin for key, begin in children if key == step)
    return text.count("\n", 0, at) + 1


def place_of(text: str, *path: str | int) -> str:
    r"""Return the line of a value; where all stands on one line, the value's place in it too.

    >>> place_of('{"b": [7,\n 8]}', "b", 1), place_of('{"b": [7, 8]}', "b", 1), place_of("[7, 8]", 1)
    ('2', '1, b[1]', '1, [1]')
    """
    line = str(line_of(text, *path))
    if "\n" in text.strip():
        return line
    return f"{line}, " + "".join(f"[{step}]" if isinstance(step, int) else step for step in path)


def _elements(text: str, at: int) -> Iterator[tuple[int, int]]:
    index, at = 0, _skip(text, at + 1)
    while text[at] != "]":
        yield index, at
        index, at = index + 1, _next(text, at)


def _members(text: str, at: int) -> Iterator[tuple[Any, int]]:
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, end) + 1)
        yield key, at
        at = _next(text, at)


def _next(text: str, at: int) -> int:
    """Pass over a value and the comma behind it."""
    _, end = _DECODER.raw_decode(text, at)
    end = _skip(text, end)
    return _skip(text, end + 1) if text[end] == "," else end


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
