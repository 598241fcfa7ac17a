"""The limits of a gate, from a small TOML file.

```toml
[default]
max_slowdown = 0.05        # 1.05 times the time of the base
max_ap_loss = 0.005        # in AP from 0 to 1
max_memory_growth = 0.10   # 1.10 times the memory; without it memory is not judged

[detector."haar"]          # a name, or a whole spec such as "haar:scale_factor=1.05"
max_slowdown = 0.10
```
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...datasets.regular_files import read_regular_text
from ...errors import UsageError, did_you_mean
from ..store.records import StoredCell


@dataclass(frozen=True, slots=True)
class DetectorLimits:
    """What a change may cost.

    Attributes:
        max_slowdown: as a fraction: 0.05 allows 1.05 times the time.
        max_ap_loss: AP, from 0 to 1, on the list that decides.
        max_memory_growth: as a fraction of the base's largest resident memory; None does not judge it.

    Raises:
        UsageError: a limit is negative or no finite number.
    """

    max_slowdown: float = 0.05
    max_ap_loss: float = 0.005
    max_memory_growth: float | None = None

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} is {value}, expected a fraction of 0 or more, such as 0.05")


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Limits for all detectors.

    Attributes:
        default: for detectors that are not named.
        detectors: spec or name of a detector -> its own.
    """

    default: DetectorLimits = field(default_factory=DetectorLimits)
    detectors: Mapping[str, DetectorLimits] = field(default_factory=dict)

    def of(self, base: StoredCell, head: StoredCell) -> DetectorLimits:
        """Return the limits of a pair: a spec comes before a name, and the head before the base."""
        for name in _names(base, head):
            if name in self.detectors:
                return self.detectors[name]
        return self.default

    def unused(self, pairs: list[tuple[StoredCell, StoredCell]]) -> list[str]:
        """Return a sentence for each section that fits no pair, so that a misspelt name does not go unseen."""
        known = {name for pair in pairs for name in _names(*pair)}
        return [
            f'the limits of [detector."{name}"] apply to nothing here. {did_you_mean(name, known)}'
            for name in self.detectors
            if name not in known
        ]


def read_limits(
    path: Path | None = None, *, max_slowdown: float | None = None, max_ap_loss: float | None = None
) -> GateLimits:
    """Read a file of limits.

    What is not in the file is as in `DetectorLimits`; what is not in a detector's section is as in [default].

    Args:
        path: the file; without one, the built-in default.
        max_slowdown: in place of that of [default]; sections of detectors keep their own.
        max_ap_loss: the same.

    Raises:
        UsageError: the file cannot be read, or holds anything else. The message names file, section and key.
    """
    content = {} if path is None else _load(path)
    if unknown := set(content) - {"default", "detector"}:
        name = min(unknown)
        raise UsageError(f"{path}: unknown section [{name}]. {did_you_mean(name, ('default', 'detector'))}")
    default = _limits(f"{path}: [default]", _table(f"{path}: default", content.get("default", {})), DetectorLimits())
    for name, value in (("max_slowdown", max_slowdown), ("max_ap_loss", max_ap_loss)):
        if value is not None:
            default = _limits(f"--{name.replace('_', '-')}", {name: value}, default)
    sections = _table(f"{path}: detector", content.get("detector", {}))
    return GateLimits(
        default,
        {
            name: _limits(f'{path}: [detector."{name}"]', _table(f'{path}: detector."{name}"', section), default)
            for name, section in sections.items()
        },
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_regular_text(path))
    except OSError as error:
        raise UsageError(f"cannot read the limits from {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}. See docs/ci.md for an example") from error


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f'{where} is {value!r}, expected a table, such as [default] or [detector."haar"]')
    return value


def _limits(where: str, table: Mapping[str, Any], default: DetectorLimits) -> DetectorLimits:
    known = [field.name for field in dataclasses.fields(DetectorLimits)]
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{where}: unknown key {name!r}. {did_you_mean(name, known)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{where}: {name} is {value!r}, expected a number, such as 0.05")
    try:
        return dataclasses.replace(default, **{name: float(value) for name, value in table.items()})
    except (UsageError, OverflowError) as error:
        raise UsageError(f"{where}: {error}") from None


def _names(base: StoredCell, head: StoredCell) -> tuple[str, ...]:
    return head.spec, base.spec, head.detector, base.detector
