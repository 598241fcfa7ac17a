"""Base against head, cell by cell.

Cells are paired, and both sides of a pair are compared on the same images; see `cell_comparison`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import UsageError, did_you_mean
from ..analysis.table import Resampling
from ..store.records import StoredCell
from ..store.run_document import DatasetInfo
from ..store.run_folder import RunFolder
from ..store.truth import Truth, decoded_ids
from .pair import CellComparer, CellComparison, Measured
from .pairing import pair_cells, protocols


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, or two versions measured in turn.

    Attributes:
        base: name of the base: its folder or its spec.
        head: name of the head.
        dataset: as stored in run.json.
        images: compared.
        primary: the list that decides.
        cells: the pairs, in the order of the base.
        base_only: cells of the base that the head does not have.
        head_only: cells of the head that the base does not have.
        resampled: how the images were drawn.
        interleaved: whether both were measured in turn, round by round.
        notes: what a reader must know beside the numbers.
    """

    base: str
    head: str
    dataset: DatasetInfo
    images: int
    primary: str
    cells: tuple[CellComparison, ...]
    base_only: tuple[StoredCell, ...] = ()
    head_only: tuple[StoredCell, ...] = ()
    resampled: Resampling = dataclasses.field(default_factory=Resampling)
    interleaved: bool = False
    notes: tuple[str, ...] = ()


def compare_runs(
    base: RunFolder,
    head: RunFolder,
    *,
    resampling: Resampling | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    metric: str | None = None,
) -> Comparison:
    """Compare two run folders.

    Args:
        base: what was there before.
        head: what is proposed.
        resampling: how images are drawn for the intervals of AP and rates.
        pairs: specs of base and head that belong together; see `pair_cells` for how the others find each other.
        metric: "ap_easy", … or "ap_overall": what decides; by default the last list, which is the hardest.

    Raises:
        UsageError: the runs are of other images or protocols, a pair or the metric is unknown.
        ResultsError: a table of a run is missing or damaged.
    """
    dataset, other = base.document.dataset, head.document.dataset
    if dataset.fingerprint != other.fingerprint:
        raise UsageError(
            f"{base.path} was measured on {dataset.name}, {dataset.coverage} ({dataset.fingerprint}), "
            f"{head.path} on {other.name}, {other.coverage} ({other.fingerprint}). "
            "Expected the same images with the same annotation: measure one of them again"
        )
    pairing = pair_cells(base.cells, head.cells, pairs)
    if not pairing.pairs and protocols(base.cells) != protocols(head.cells):
        raise UsageError(
            f"{base.path} was measured with the protocol {protocols(base.cells)}, {head.path} with "
            f"{protocols(head.cells)}. Expected the same: measure one of them again with the other's --size and "
            "--score-floor"
        )
    resampling = resampling or Resampling()
    tables = base.images(), head.images()
    decoded = [set(decoded_ids(table)) for table in tables]
    both = decoded[0] & decoded[1]
    truth = Truth.of_tables(tables[0][tables[0]["image_id"].isin(both)], base.faces(), dataset.lists)
    work = CellComparer(truth, resampling, _primary(dataset, metric))
    cells = []
    for left, right in pairing.pairs:
        if left.done and right.done:
            sides = _measured(base, left, truth.image_ids), _measured(head, right, truth.image_ids)
            cells.append(work.compare(*sides))
        else:
            cells.append(CellComparison(left, right))
    unequal = len(decoded[0] ^ decoded[1])
    notes = [f"{unequal} images could be decoded on one side only and are left out"] if unequal else []
    if base.path.resolve() == head.path.resolve():
        notes.append("base and head are the same folder: nothing can differ")
    return Comparison(
        base=str(base.path),
        head=str(head.path),
        dataset=dataset,
        images=len(truth.image_ids),
        primary=work.primary,
        cells=tuple(cells),
        base_only=pairing.base_only,
        head_only=pairing.head_only,
        resampled=resampling,
        notes=tuple(notes + [note for cell in cells for note in _notes(cell)]),
    )


def compare_interleaved(
    base: Measured,
    head: Measured,
    truth: Truth,
    dataset: DatasetInfo,
    *,
    again: NDArray[np.float64] | None = None,
    resampling: Resampling | None = None,
    metric: str | None = None,
) -> Comparison:
    """Compare two versions that were measured in turn: row r of `base.ms`, `head.ms` and `again` is one round.

    Args:
        base: what was there before.
        head: what is proposed.
        truth: the images measured and their annotation, see `Truth.of_tables`.
        dataset: as stored in run.json.
        again: base once more in the same rounds, float64 (rounds, images).
        resampling: as in `compare_runs`.
        metric: as in `compare_runs`.

    Raises:
        UsageError: the metric is unknown, or the arrays do not fit.
    """
    resampling = resampling or Resampling()
    work = CellComparer(truth, resampling, _primary(dataset, metric))
    cell = work.compare(base, head, again=again, paired=True)
    return Comparison(
        base=base.cell.spec,
        head=head.cell.spec,
        dataset=dataset,
        images=len(truth.image_ids),
        primary=work.primary,
        cells=(cell,),
        resampled=resampling,
        interleaved=True,
        notes=tuple(_notes(cell)),
    )


def rounds_table(timings: pd.DataFrame, image_ids: Sequence[str]) -> NDArray[np.float64]:
    """Lay timings out as float64 (rounds, images), milliseconds, nan where an image was not measured.

    Args:
        timings: columns image_id, detect_ms and, unless there was one round only, round.
        image_ids: the images, in the order wanted; others are left out.
    """
    rounds = timings["round"] if "round" in timings else pd.Series(0, index=timings.index)
    table = timings.assign(round=rounds).pivot(index="round", columns="image_id", values="detect_ms")
    return table.reindex(columns=list(image_ids)).to_numpy(dtype=np.float64)


def _measured(run: RunFolder, cell: StoredCell, image_ids: Sequence[str]) -> Measured:
    ms = rounds_table(run.timings(cell), image_ids) if cell.rounds else None
    return Measured(cell, run.detections(cell), ms, run.document.environment)


def _notes(cell: CellComparison) -> list[str]:
    """Say where a side disagrees with itself."""
    found = []
    for side, stored in (("base", cell.base), ("head", cell.head)):
        differ, failed = stored.detections_differ, stored.repeats_failed
        if differ:
            found.append(f"{cell.label}: {side} gave other detections in {differ} of its own repeated calls")
        if failed:
            found.append(f"{cell.label}: {side} failed on {failed} of its repeated calls")
    measured = max(cell.base.rounds, cell.head.rounds)
    if cell.latency is not None and cell.in_turn and cell.latency.rounds < measured:
        found.append(
            f"{cell.label}: of {measured} rounds {cell.latency.rounds} were measured in turn with the other side's; "
            "the others do not count for the change of latency"
        )
    timed_from = [_timed_from(stored) for stored in (cell.base, cell.head)]
    if cell.latency is not None and timed_from[0] != timed_from[1]:
        base, head = timed_from
        found.append(
            f"{cell.label}: base was timed with boxes from a score of {base:.4g} on, head from {head:.4g} on, so their "
            "times are of different work"
        )
    return found


def _timed_from(stored: StoredCell) -> float:
    """Return the lowest score of the timed calls; runs of before timed the pass at the floor."""
    return math.nan if stored.start is None else stored.start.timed_at


def _primary(dataset: DatasetInfo, metric: str | None) -> str:
    names = {f"ap_{name}": str(name) for name in (*dataset.lists, "overall")}
    if metric is None:
        return dataset.ranking
    if metric not in names:
        raise UsageError(f"unknown metric {metric!r}. {did_you_mean(metric, names)}")
    return names[metric]
