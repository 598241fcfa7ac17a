"""What is done to a valid file: bytes cut, flipped, moved; its numbers, names and values replaced by hostile ones."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

_LONG = 100_000
NUMBERS = (
    "-1",
    "0",
    "1e999",
    "-1e308",
    "NaN",
    "Infinity",
    "2147483648",
    "18446744073709551616",
    "9" * 5000,
    "1_0",
    "٣",
)
NAMES = (
    "../../etc/passwd", "/etc/passwd", "C:\\x.png", "a\0b.png", "\x1b[2J\x1b]0;x\x07", "a\nb.png", "[/x]", "::error::x",
    "\u202egnp.exe", "%00%2e%2e/", "", " ", ".", "x" * _LONG, "a/" * (_LONG // 2), " " * _LONG, "\\" * _LONG,
)  # fmt: skip
DEEP = ("[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000, "<a>" * 3000, "{" * 3000, "a: " * 3000)
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**400, "", [], {}, [None], [[]], {"a": {}},
    "\ud800", "\udcff.png", [1e999] * 4, [0] * 5, {"id": []}, *NAMES,
)  # fmt: skip
_TOKEN = re.compile(rb'-?\d+(?:\.\d+)?|"[^"\n]*"|[A-Za-z][\w./-]*')

_Maker = Callable[[random.Random, bytes], bytes]


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Return the bytes of a file with one to three kinds of damage."""
    for _ in range(draw.randint(1, 3)):
        data = draw.choice(_MAKERS)(draw, data)
    return data


def _cut(draw: random.Random, data: bytes) -> bytes:
    return data[: draw.randint(0, len(data))]


def _flip(draw: random.Random, data: bytes) -> bytes:
    flipped = bytearray(data)
    for _ in range(draw.randint(1, 8) if data else 0):
        flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def _span(draw: random.Random, data: bytes) -> tuple[int, int]:
    begin = draw.randint(0, len(data))
    return begin, draw.randint(begin, min(len(data), begin + 60))


def _drop(draw: random.Random, data: bytes) -> bytes:
    begin, end = _span(draw, data)
    return data[:begin] + data[end:]


def _repeat(draw: random.Random, data: bytes) -> bytes:
    begin, end = _span(draw, data)
    return data[:end] + data[begin:end] * draw.choice((1, 2, 1000)) + data[end:]


def _hostile(draw: random.Random) -> bytes:
    text = draw.choice((*NUMBERS, *NAMES, *DEEP, "\ufeff", "\x00" * 9, "\r", "\t" * 9, "\U0001f600"))
    return text.encode("utf-8", "surrogatepass")


def _insert(draw: random.Random, data: bytes) -> bytes:
    at = draw.randint(0, len(data))
    return data[:at] + _hostile(draw) + data[at:]


def _replace(draw: random.Random, data: bytes) -> bytes:
    tokens = list(_TOKEN.finditer(data[:20_000]))
    if not tokens:
        return _insert(draw, data)
    token = draw.choice(tokens)
    new = _hostile(draw)
    quoted = token[0].startswith(b'"') and draw.random() < 0.8
    return data[: token.start()] + (b'"' + new + b'"' if quoted else new) + data[token.end() :]


def _lines(draw: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    draw.choice((draw.shuffle, lambda some: some.pop(), lambda some: some.append(draw.choice(some))))(lines)
    return b"\n".join(lines)


def _other_encoding(draw: random.Random, data: bytes) -> bytes:
    encoding = draw.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "cp037"))
    return data.decode("utf-8", "replace").encode(encoding, "replace")


def _in_json(draw: random.Random, data: bytes) -> bytes:
    """A key removed or a value replaced, anywhere in a JSON document, or in one of many lines of such."""
    lines = data.split(b"\n") if data.count(b"\n{") and not data.startswith(b"{\n") else [data]
    at = draw.randrange(len(lines))
    try:
        document = [json.loads(lines[at])]
        _change(draw, document)
        lines[at] = json.dumps(document[0], ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError, IndexError):
        return _replace(draw, data)
    return b"\n".join(lines)


def _change(draw: random.Random, parent: Any) -> None:
    while True:
        key = draw.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
        child = parent[key]
        if isinstance(child, dict | list) and child and draw.random() < 0.8:
            parent = child
        elif draw.random() < 0.3:
            del parent[key]
            return
        else:
            parent[key] = draw.choice(_VALUES)
            return


_MAKERS: tuple[_Maker, ...] = (
    _cut, _flip, _drop, _repeat, _insert, _replace, _replace, _lines, _other_encoding, _in_json, _in_json, _in_json,
)  # fmt: skip
