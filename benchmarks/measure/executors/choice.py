"""From what stands behind --executor to an executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....errors import UsageError
from .base import Executor
from .local import LocalExecutor
from .ray import RayExecutor

_EXPECTED = "expected local, local:4, ray, or ray:workers=4,cpus=1,gpus=0.5,address=auto (all of them optional)"
_RAY = {"address": str, "workers": int, "cpus": float, "gpus": float}


def create_executor(text: str) -> Executor:
    """Read an executor: `local[:N]` or `ray[:address=…,workers=N,cpus=C,gpus=G]`.

    Raises:
        UsageError: it is written otherwise, or a number is out of range.
        UnavailableError: Ray is asked for and not installed.

    >>> create_executor("local:3").workers
    3
    """
    kind, _, rest = text.strip().partition(":")
    try:
        if kind == "local":
            return LocalExecutor(int(rest) if rest else 1)
        if kind == "ray":
            return RayExecutor(**_options(rest))
    except ValueError:
        pass
    raise UsageError(f"got --executor {text!r}; {_EXPECTED}")


def _options(text: str) -> Mapping[str, Any]:
    options: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if name not in _RAY or not equals or name in options:
            raise ValueError(name)
        options[name] = _RAY[name](value)
    return options
