"""What a run measures, and whom it tells about its progress."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..datasets import Dataset
from ..detectors import DetectorSpec, Device
from .cell import Protocol as CellProtocol
from .executors.base import Executor
from .supervisor import Limits


class Observer(Protocol):
    """What a run tells about its progress."""

    def decoding(self, done: int, total: int) -> None:
        """Pictures looked at before the first cell."""

    def cell_begins(self, cell: dict[str, Any], done: int, total: int) -> None:
        """A cell begins; `done` of `total` pictures were measured by an earlier call."""

    def picture_done(self) -> None:
        """One more picture of the cell is measured."""

    def cell_ends(self, cell: dict[str, Any]) -> None:
        """A cell has its final state."""


class Silent:
    """An observer that says nothing."""

    def decoding(self, done: int, total: int) -> None:
        """Say nothing."""

    def cell_begins(self, cell: dict[str, Any], done: int, total: int) -> None:
        """Say nothing."""

    def picture_done(self) -> None:
        """Say nothing."""

    def cell_ends(self, cell: dict[str, Any]) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        dataset: the pictures.
        detectors: the detectors, each a row.
        protocols: how pictures are given; each makes rows of its own.
        device: "cpu" or "cuda".
        threads: CPU threads of each child; each count makes rows of its own.
        limits: time and memory of each child.
        rounds: how often every picture is timed, each round in a fresh child. Detections come from the first; the
            later ones show how far the same code differs from process to process. 0, with an executor: no picture is
            timed.
        executor: brings the detections of all cells in by several workers first; then nothing runs beside the child
            that is timed. None: the first timed round brings them.
    """

    dataset: Dataset
    detectors: Sequence[DetectorSpec]
    protocols: Sequence[CellProtocol] = (CellProtocol(),)
    device: Device = "cpu"
    threads: Sequence[int] = (1,)
    limits: Limits = dataclasses.field(default_factory=Limits)
    rounds: int = 1
    executor: Executor | None = None
