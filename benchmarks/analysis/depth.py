"""A run in depth: every detector for itself, and every pair of them.

Every cell is resampled on the same draws of images, so differences between detectors are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..resampling.bootstrap import Difference, Resampled, paired_difference
from ..resampling.ranking import first_shares, tied_with_best
from .detector_depth import CellAnalysis, CellScorer, ListIntervals
from .slice_scores import SliceScore
from .table import Resampling, Summary, one_blas_thread

__all__ = ["Analysis", "CellAnalysis", "ListIntervals", "SliceScore", "analyse"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A run in depth.

    Attributes:
        cells: cell key -> analysis, for the cells that are done.
        first: cell key -> share of the draws in which it has the highest exact AP on the primary list.
        tied: keys of the best and of those not significantly worse, best first.
        differences: (key, key) -> difference in exact AP on the primary list, first less second, for each pair.
        resampled: how images were drawn.
    """

    cells: Mapping[str, CellAnalysis]
    first: Mapping[str, float]
    tied: Sequence[str]
    differences: Mapping[tuple[str, str], Difference]
    resampled: Resampling


def analyse(summary: Summary, resampling: Resampling | None = None) -> Analysis:
    """Analyse every finished cell of a run.

    Args:
        summary: a scored run.
        resampling: how images are drawn for the intervals; by default as for the summary's own.

    Raises:
        ResultsError: a table of the run is missing or damaged.
    """
    resampling = resampling or summary.resampled
    weights = resampling.weights(summary.reader.truth.image_ids)
    done = [row for row in summary.rows if row.done]
    primary: dict[str, Resampled] = {}
    cells = {}
    with one_blas_thread():
        for row in done:
            key = row.cell.key
            work = CellScorer(summary, row, weights, as_summary=resampling == summary.resampled)
            cells[key], primary[key] = work.analysis()
    keys = list(cells)
    pairs = [(a, b) for place, a in enumerate(keys) for b in keys[place + 1 :]]
    return Analysis(
        cells=cells,
        first=first_shares(primary),
        tied=tied_with_best(primary),
        differences={(a, b): paired_difference(primary[a], primary[b]) for a, b in pairs},
        resampled=resampling,
    )
