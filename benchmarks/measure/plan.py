"""What a run measures, and whom it tells about its progress."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from ...datasets import Dataset
from ...datasets.images import DEFAULT_MAX_PIXELS
from ...detectors import DetectorSpec, Device, Setting
from ..store.records import Protocol as CellProtocol
from ..store.records import StoredCell
from .cell import Cell, make_cell
from .detector_process import Limits
from .executors.base import Executor


class Observer(Protocol):
    """What a run tells about its progress."""

    def decoding(self, done: int, total: int) -> None:
        """Images looked at before the first cell."""

    def cell_begins(self, cell: StoredCell, done: int, total: int) -> None:
        """A cell begins; `done` of `total` images were measured by an earlier call."""

    def image_done(self) -> None:
        """One more image of the cell is measured."""

    def cell_ends(self, cell: StoredCell) -> None:
        """A cell has its final state."""

    def warns(self, text: str) -> None:
        """Something is wrong that the run goes on after, in one sentence."""


class NullObserver:
    """An observer that says nothing."""

    def decoding(self, done: int, total: int) -> None:
        """Say nothing."""

    def cell_begins(self, cell: StoredCell, done: int, total: int) -> None:
        """Say nothing."""

    def image_done(self) -> None:
        """Say nothing."""

    def cell_ends(self, cell: StoredCell) -> None:
        """Say nothing."""

    def warns(self, text: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        dataset: the images.
        detectors: the detectors, each a row, at their own thresholds.
        protocols: how images are given; each makes rows of its own.
        device: "cpu" or "cuda".
        threads: CPU threads of each child; each count makes rows of its own.
        limits: time and memory of each child.
        rounds: how often every image is timed, each round in a fresh child. Detections come from the first; the
            later ones show how far the same code differs from process to process. 0, with an executor: no image is
            timed.
        executor: collects the detections of all cells by several workers first; then nothing runs beside the child
            that is timed. None: a pass of one child at the score floor finds them, before the timed rounds.
        settings: further rows, each exactly as it stands, such as the picked default; protocols, device and threads
            are not for them, but the score floor of the first protocol is.
        max_pixels: the largest width x height of an image that is decoded; larger ones are left out.
        batches: images a batch, each size timed on every cell after its rounds, beside batches of one image; empty:
            none are.
    """

    dataset: Dataset
    detectors: Sequence[DetectorSpec]
    protocols: Sequence[CellProtocol] = (CellProtocol(),)
    device: Device = "cpu"
    threads: Sequence[int] = (1,)
    limits: Limits = dataclasses.field(default_factory=Limits)
    rounds: int = 1
    executor: Executor | None = None
    settings: Sequence[Setting] = ()
    max_pixels: int = DEFAULT_MAX_PIXELS
    batches: Sequence[int] = ()

    def cells(self) -> list[tuple[DetectorSpec, Cell]]:
        """Return what is to be measured, a row each: the settings first; of equal ones the first alone.

        Raises:
            UsageError: a setting names a detector that is not known.
        """
        fingerprint, floor = self.dataset.fingerprint, self.protocols[0].score_floor
        rows = []
        for setting in self.settings:
            spec, protocol = setting.resolve(), CellProtocol(setting.size, floor)
            rows.append(
                (spec, make_cell(spec, fingerprint, protocol, setting.device, setting.threads, setting.threshold))
            )
        for spec, protocol, threads in product(self.detectors, self.protocols, self.threads):
            rows.append((spec, make_cell(spec, fingerprint, protocol, self.device, threads)))
        return list({cell.key: (spec, cell) for spec, cell in reversed(rows)}.values())[::-1]
