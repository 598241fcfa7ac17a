"""What a detector says of itself, taken only as what it must be: others write it into files and compute with it."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real
from typing import Any, cast

from ...errors import ContractError
from ..base import Detector, Device

_MOST_THREADS = 2**16


def device_told(detector: Detector) -> Device:
    """Return `device_used()`.

    Raises:
        ContractError: it is neither cpu nor cuda.
    """
    told: object = detector.device_used()
    if not isinstance(told, str) or told not in ("cpu", "cuda"):
        raise _unlike("device_used()", told, "cpu or cuda")
    return cast(Device, str(told))


def threads_told(detector: Detector) -> int | None:
    """Return `threads_used()`; NumPy's whole numbers become Python's.

    Raises:
        ContractError: it is neither a whole number from 1 to 65,536 nor None.
    """
    told: object = detector.threads_used()
    if told is None:
        return None
    if not _is(Integral, told) or not 1 <= int(cast(Any, told)) <= _MOST_THREADS:
        raise _unlike("threads_used()", told, f"a whole number from 1 to {_MOST_THREADS:,}, or None")
    return int(cast(Any, told))


def precision_told(detector: Detector) -> str | None:
    """Return `precision_used()`.

    Raises:
        ContractError: it is neither a short word nor None.
    """
    told: object = detector.precision_used()
    if told is None:
        return None
    if not isinstance(told, str) or not re.fullmatch(r"[\w+-]{1,16}", told, re.ASCII):
        raise _unlike("precision_used()", told, "a word such as fp32, or None")
    return str(told)


def device_memory_told(detector: Detector) -> float | None:
    """Return `device_memory_mb()`; NumPy's numbers become Python's.

    Raises:
        ContractError: it is neither a finite number from 0 on nor None.
    """
    told: object = detector.device_memory_mb()
    if told is None:
        return None
    if not _is(Real, told) or not 0 <= float(cast(Any, told)) < math.inf:
        raise _unlike("device_memory_mb()", told, "a finite number of MB, or None")
    return float(cast(Any, told))


def thresholds_told(detector: Detector) -> tuple[float, float]:
    """Return `operating_threshold` and `score_floor`; NumPy's numbers become Python's.

    Raises:
        ContractError: one of them is no finite number.
    """
    told = []
    for name in ("operating_threshold", "score_floor"):
        value: object = getattr(detector, name, None)
        if not _is(Real, value) or not math.isfinite(float(cast(Any, value))):
            raise _unlike(name, value, "a finite number")
        told.append(float(cast(Any, value)))
    return told[0], told[1]


def _is(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _unlike(name: str, told: object, expected: str) -> ContractError:
    return ContractError(f"{name} is {str(told)[:60]!r} of the type {type(told).__name__}, expected {expected}")
