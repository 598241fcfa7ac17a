"""The table of a run: one row per cell, scored from what is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import ResultsError
from ..resampling.bootstrap import DRAWS, Resampled, draw_weights
from ..resampling.ranking import tied_with_best
from ..store.records import StoredCell
from ..store.run_folder import RunFolder
from ..store.truth import RunReader
from ..timing.details import LatencyDetails, latency_details
from ..timing.latency import LatencySummary, summarise
from ..timing.throughput import BatchRate, batch_rates
from .intervals import Calls, RowIntervals, exact_draws, row_intervals


@dataclass(frozen=True, slots=True)
class Resampling:
    """How images are drawn again for intervals.

    Attributes:
        seed: the same seed gives the same intervals in any process.
        by_event: draw whole events instead of images: wider intervals, for what other events would do.
        draws: how often.
    """

    seed: int = 0
    by_event: bool = False
    draws: int = DRAWS

    @property
    def unit(self) -> str:
        """What is drawn."""
        return "events" if self.by_event else "images"

    def weights(self, image_ids: Sequence[str]) -> NDArray[np.int8]:
        """Return how often each image is drawn: int8 (draws, images)."""
        events = [event_of(name) for name in image_ids] if self.by_event else None
        return draw_weights(len(image_ids), draws=self.draws, seed=self.seed, clusters=events)


def event_of(image_id: str) -> str:
    """Return the folder of an image, which is its event in WIDER FACE; empty where there is none."""
    return image_id.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Row:
    """One cell, scored.

    Attributes:
        cell: as stored in run.json.
        latency: of the whole `detect` call, None unless the cell is done and was measured.
        intervals: every number that is an estimate from images; empty unless the cell is done.
        calls: what was timed; None where `latency` is.
        timing: stages, cost and what makes the latency doubtful; None where `latency` is.
        batches: throughput at each batch size, the smallest first; empty where batches were not timed.
        exact_draws: exact AP by list and "overall" under each draw of the summary; empty unless the cell is done.
    """

    cell: StoredCell
    latency: LatencySummary | None = None
    intervals: RowIntervals = field(default_factory=RowIntervals)
    calls: Calls | None = field(default=None, compare=False)
    timing: LatencyDetails | None = None
    batches: Sequence[BatchRate] = ()
    exact_draws: Mapping[str, Resampled] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether there is anything to rank."""
        return self.cell.done

    @property
    def best_batch(self) -> BatchRate | None:
        """The batch size with the most images a second; None where batches were not timed."""
        return max(self.batches, key=lambda rate: rate.images_per_second.value, default=None)

    def exact_ap(self, list_name: str) -> float:
        """Exact AP on one list or "overall"; nan where the cell is not done."""
        return self.intervals.exact[list_name].value if self.done else math.nan

    def official_ap(self, list_name: str) -> float:
        """Official AP on one list or "overall"; nan where the cell is not done."""
        return self.intervals.official[list_name].value if self.done else math.nan


@dataclass(frozen=True, slots=True)
class Summary:
    """A run with its rows, best first.

    Attributes:
        reader: of the run's tables and matches.
        rows: done cells by falling exact AP on `primary`, then by p50; then those that are not done.
        lists: names of the scored lists, or ("overall",).
        primary: the list that ranks: the last, which is the hardest.
        images: images scored.
        excluded: images that could not be decoded.
        tied: cell keys of the best and of those not told apart from it in exact AP on `primary`, best first; see
            `tied_with_best`.
        resampled: how the images were drawn for every interval.
    """

    reader: RunReader
    rows: Sequence[Row]
    lists: tuple[str, ...]
    primary: str
    images: int
    excluded: int
    tied: Sequence[str] = ()
    resampled: Resampling = field(default_factory=Resampling)

    @property
    def run(self) -> RunFolder:
        """The folder."""
        return self.reader.run

    @property
    def drawn(self) -> str:
        """What every interval draws again, in words: "the 130 images", or "the 11 events"."""
        events = {event_of(name) for name in self.reader.truth.image_ids}
        return f"the {len(events) if self.resampled.by_event else self.images:,} {self.resampled.unit}"

    @property
    def scope(self) -> str:
        """What every number was measured on: data set, how much of it, what was left out, what it is good for."""
        dataset = self.run.document.dataset
        parts = [f"{dataset.shown}, {dataset.coverage}"]
        if self.excluded:
            parts.append(f"{self.excluded} of them unreadable and left out for every detector")
        if dataset.demo:
            parts.append("a demonstration on two people, not a comparison")
        return "; ".join(parts)


def summarise_run(run: RunFolder, resampling: Resampling | None = None) -> Summary:
    """Score every finished cell of a run.

    Args:
        run: the folder.
        resampling: how images are drawn for the intervals.

    Raises:
        ResultsError: a table of the run is missing or damaged, or there is a damaged cell and no finished one.
    """
    damaged = [cell for cell in run.cells if cell.status == "damaged"]
    if damaged and not any(cell.done for cell in run.cells):
        raise ResultsError(damaged[0].reason)
    reader = RunReader(run)
    primary = run.document.dataset.ranking
    resampling = resampling or Resampling()
    images = len(reader.truth.image_ids)
    weights = resampling.weights(reader.truth.image_ids)
    with one_blas_thread():
        rows = [_row(reader, cell, weights, resampling.seed) for cell in run.cells]
    resampled = {row.cell.key: row.exact_draws[primary] for row in rows if row.done}
    rows.sort(key=lambda row: _rank(row, primary))
    return Summary(
        reader=reader,
        rows=rows,
        lists=run.document.dataset.lists or (primary,),
        primary=primary,
        images=images,
        excluded=len(reader.images) - images,
        tied=tied_with_best(resampled),
        resampled=resampling,
    )


def _row(reader: RunReader, cell: StoredCell, weights: NDArray[np.integer], seed: int) -> Row:
    """Score one cell on the usable images."""
    if not cell.done:
        return Row(cell)
    truth, found = reader.truth, reader.matched(cell)
    timings = reader.run.timings(cell) if cell.rounds else None
    calls = None if timings is None else calls_of(timings, truth.image_ids)
    exact = exact_draws(found.matches, truth.masks, weights)
    alone = cell.device == "cpu" and cell.threads == 1
    return Row(
        cell=cell,
        latency=calls.summary if calls else None,
        intervals=row_intervals(found.matches, truth.masks, found.threshold, calls, weights, exact),
        calls=calls,
        timing=None if timings is None else latency_details(timings, one_thread_on_cpu=alone, seed=seed),
        batches=batch_rates(reader.run.batches(cell)) if cell.batching else (),
        exact_draws=exact,
    )


def one_blas_thread() -> AbstractContextManager[object]:
    """Keep BLAS to one thread.

    The products here are many and small: threads that wait for the next one would burn as much time as all the rest
    takes. And sums do not depend on how many cores a machine has.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def load_summary(path: Path, resampling: Resampling | None = None) -> Summary:
    """Open a run folder and score it."""
    return summarise_run(RunFolder.open(path), resampling)


def _rank(row: Row, primary: str) -> tuple[bool, float, float, str]:
    ap = row.exact_ap(primary)
    speed = row.latency.p50_ms if row.latency else math.inf
    return not row.done, -ap if math.isfinite(ap) else math.inf, speed, row.cell.spec


def calls_of(timings: pd.DataFrame, image_ids: Sequence[str]) -> Calls:
    """Lay the timed calls out; those of images that are not among `image_ids` are dropped, as their boxes are."""
    place = pd.Index(image_ids).get_indexer(pd.Index(timings["image_id"]))
    known = timings[place >= 0]
    image, detect_ms = place[place >= 0].astype(np.int64), known["detect_ms"].to_numpy(dtype=np.float64)
    summary = summarise(detect_ms, len(np.unique(image)))
    return Calls(image, known["round"].to_numpy(dtype=np.int64), detect_ms, summary)
