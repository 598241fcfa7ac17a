"""Records to plain JSON values and back: what is read is checked, and a fault names its place."""

from __future__ import annotations

import dataclasses
import math
import sys
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Literal, Self

from ...errors import FacebenchError, ResultsError

LEFT_OUT = {"left out": True}
"""Metadata of a field that is not written while it is None."""
EXACT = {"exact": True}
"""Metadata of a field in which NaN does not stand for None."""
_LARGE = 2**63
_WORDS = {
    str: "text",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    tuple: "a list",
    Mapping: "an object",
}


def named(name: str) -> dict[str, str]:
    """Return the metadata of a field that has another name in JSON."""
    return {"key": name}


class Record:
    """What makes a frozen dataclass one that JSON holds: an object with a key for each field.

    A field may be text, a number, a truth value, a literal, another dataclass, a tuple or a mapping of these, or None.
    A missing key is read as the field's default; a key that no field has is ignored.
    """

    __slots__ = ()

    @classmethod
    def from_json(cls, value: object, place: str = "") -> Self:
        """Read it; `place` is where the value stands, for messages such as "cells[2].threshold: got 'x', …".

        Raises:
            ResultsError: a key is missing, or a value has another type or is out of range.
        """
        read: Self = _record(cls, value, place)
        return read

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def to_plain(value: Any) -> Any:
    """Return what JSON can hold of a record, a dataclass, or a collection of them."""
    if dataclasses.is_dataclass(value):
        return {
            field.metadata.get("key", field.name): to_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not ("left out" in field.metadata and getattr(value, field.name) is None)
        }
    if isinstance(value, Mapping):
        return {name: to_plain(one) for name, one in value.items()}
    return [to_plain(one) for one in value] if isinstance(value, list | tuple) else value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _record(kind: Any, value: object, place: str) -> Any:
    read = {}
    before = f"{place}." if place else ""
    values = _expect(Mapping, value, place)
    for field in dataclasses.fields(kind):
        name, hint = field.metadata.get("key", field.name), _hints(kind)[field.name]
        if name in values:
            read[field.name] = _field(field, hint, values[name], before + name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ResultsError(f"{before}{name} is missing, expected {_words(hint)}")
    try:
        return kind(**read)
    except (FacebenchError, ValueError) as error:
        raise ResultsError(f"{place}: {error}" if place else str(error)) from error


def _field(field: dataclasses.Field[Any], hint: Any, value: Any, place: str) -> Any:
    if "exact" in field.metadata and isinstance(value, float) and math.isnan(value):
        raise _unlike(value, hint, place)
    return _value(hint, value, place)


def _value(hint: Any, value: Any, place: str) -> Any:
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is types.UnionType:
        # NaN, which older files hold, is not a number that anybody can use
        nothing = value is None or (isinstance(value, float) and math.isnan(value))
        return None if nothing else _value(inner[0], value, place)
    if kind is Literal:
        if not isinstance(value, str) or value not in inner:
            raise _unlike(value, hint, place)
        return value
    if kind is tuple:
        _expect(list, value, place, tuple)
        if inner[-1] is Ellipsis:
            inner = inner[:1] * len(value)
        elif len(inner) != len(value):
            raise ResultsError(f"{place}: got {len(value)} values, expected {len(inner)}")
        return tuple(_value(*pair, f"{place}[{n}]") for n, pair in enumerate(zip(inner, value, strict=True)))
    if kind is Mapping:
        return {name: _value(inner[1], one, f"{place}.{name}") for name, one in _expect(Mapping, value, place).items()}
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast(type[Any], kind), value, place)
    if kind is float:
        number = _expect(int | float, value, place, float)
        if not -sys.float_info.max <= number <= sys.float_info.max:
            raise _unlike(value, float, place)
        return float(number)
    if kind is int and isinstance(value, int) and abs(value) >= _LARGE:
        raise _unlike(value, int, place)
    return value if kind is Any else _expect(kind, value, place)


def read_fields(kind: Any, value: object) -> dict[str, Any]:
    """Return those fields of a dataclass that can be read, whatever the others hold; nothing of what is no object."""
    values = value if isinstance(value, Mapping) else {}
    read = {}
    for field in dataclasses.fields(kind):
        name = field.metadata.get("key", field.name)
        if name in values:
            with suppress(ResultsError):
                read[field.name] = _field(field, _hints(kind)[field.name], values[name], name)
    return read


def _expect(kind: Any, value: Any, place: str, shown: Any = None) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _unlike(value, shown or kind, place)
    return value


def _unlike(value: object, hint: Any, place: str) -> ResultsError:
    return ResultsError(f"{place or 'the whole'}: got {repr(value)[:60]}, expected {_words(hint)}")


def _words(hint: Any) -> str:
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is types.UnionType:
        return _words(inner[0])
    return " or ".join(map(str, inner)) if kind is Literal else _WORDS.get(kind, "an object")
