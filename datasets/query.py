"""Options behind a data set's name: `wider-face:val?events=Picnic,Couple&sample=100`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from ..errors import UsageError, did_you_mean

_T = TypeVar("_T")
_TEXTS = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".xml")


def split_name(name: str) -> tuple[str, dict[str, str]]:
    """Split a data set's name into the name proper and its options.

    Raises:
        UsageError: on an option without a value, or given twice.

    >>> split_name("scenes?seed=1&count=9")
    ('scenes', {'seed': '1', 'count': '9'})
    """
    base, _, query = name.partition("?")
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, _, value = part.partition("=")
        if not key or not value:
            raise UsageError(f"Got {part!r} in {name!r}, expected key=value, as in {base}?seed=1.")
        if key in options:
            raise UsageError(f"Option {key!r} stands twice in {name!r}; give it once.")
        options[key] = value
    return base, options


def join_name(base: str, options: Mapping[str, str]) -> str:
    """Write a data set's name with its options, as `split_name` reads it.

    >>> join_name("scenes", {"seed": "1", "count": "9"})
    'scenes?seed=1&count=9'
    """
    query = "&".join(f"{key}={value}" for key, value in options.items())
    return f"{base}?{query}" if query else base


def shown_name(name: str) -> str:
    """Return what a table calls a data set: its name, or that of the folder or file that it lies in.

    >>> shown_name("scenes?seed=1"), shown_name("folder:my/photos?sample=9"), shown_name("folder:photos/a.json")
    ('scenes?seed=1', 'photos?sample=9', 'photos/a.json')
    """
    base, mark, query = name.partition("?")
    kind, _, place = base.partition(":")
    if kind != "folder" or not place:
        return name
    parts = place.rstrip("/").split("/")
    is_file = posixpath.splitext(parts[-1])[1].lower() in _TEXTS
    return "/".join(parts[-2:] if is_file else parts[-1:]) + mark + query


def check_options(options: Mapping[str, str], known: Iterable[str], dataset: str) -> None:
    """Raise UsageError where an option is not known, with the nearest known ones."""
    known = tuple(known)
    for key in options:
        if key not in known:
            raise UsageError(f"Data set {dataset} has no option {key!r}. {did_you_mean(key, known)}")


def whole_number(options: Mapping[str, str], key: str, default: int, *, least: int, most: int = 2**32 - 1) -> int:
    """Value of an option that is a whole number.

    Raises:
        UsageError: where it is not one, or lies outside `least` to `most`.
    """
    text = options.get(key)
    if text is None:
        return default
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else -1
    if not least <= value <= most:
        raise UsageError(f"Got {key}={text}, expected a whole number from {least} to {most:,}.")
    return value


def draw(there: Sequence[_T], wanted: int, seed: int) -> list[_T]:
    """Return so many of what is there, drawn without repetition, in the order they had; 0 wanted or too many: all.

    >>> draw("abcd", 2, seed=1)
    ['b', 'c']
    """
    if not 0 < wanted < len(there):
        return list(there)
    drawn = np.random.default_rng(seed).choice(len(there), wanted, replace=False)
    return [there[place] for place in np.sort(drawn)]
