"""The families of faults by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .corrupt import IMAGES, corrupt
from .fuzz.flips import flips
from .kills import kills
from .nodes import nodes
from .readers import readers
from .table import Row
from .tampered import tampered
from .twice import twice
from .writes import writes


@dataclass(frozen=True, slots=True)
class Family:
    """Faults of one kind.

    Attributes:
        run: does them: (scratch folder, times, seed) -> rows.
        times: how often, unless told; 0 for as often as there are places to do it.
    """

    run: Callable[..., list[Row]]
    times: int


FAMILIES: Mapping[str, Family] = {
    "kills": Family(kills, 200),
    "writes": Family(writes, 0),
    "nodes": Family(nodes, 3),
    "corrupt": Family(corrupt, IMAGES),
    "twice": Family(twice, 3),
    "readers": Family(readers, 20_000),
    "tampered": Family(tampered, 40),
    "flips": Family(flips, 2500),
}
