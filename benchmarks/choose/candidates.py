"""What the pick rule looks at, read from a run: accuracy and latency of each detector on draws of the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..analysis.table import Row, Summary
from ..resampling import ranking
from ..resampling.average_precision import ExactAP
from ..resampling.bootstrap import resample
from ..resampling.boxes import weighted_quantiles
from ..resampling.errors import threshold_choice_interval
from ..scoring.thresholds import ThresholdChoice, choose_threshold
from ..store.truth import Truth
from .rule import SMALL_FACES, SMALL_PX, Candidates, halves

HALVES = 400
"""How many random halves of the images are judged."""


def metrics(summary: Summary) -> dict[str, str]:
    """Return the metrics that a run has, each with the list whose faces it counts."""
    named = {f"ap_{name}": name for name in (*summary.lists, "overall")}
    return {**named, SMALL_FACES: summary.primary}


def load_candidates(summary: Summary, rows: Sequence[Row], metric: str) -> tuple[Candidates, Candidates]:
    """Score rows of a run by one metric on all images, on resamples and on random halves of them.

    Args:
        summary: of the run.
        rows: measured ones.
        metric: one of `metrics`.

    Returns:
        The rows as candidates, in their order: under the resamples of the summary, and under `HALVES` halves.

    Raises:
        ResultsError: a table of the run is damaged.
    """
    truth = summary.reader.truth
    counted = _counted(summary, metric, truth)
    drawn = summary.resampled.weights(truth.image_ids)
    half = halves(len(truth.image_ids), draws=HALVES, seed=summary.resampled.seed)
    weights = np.concatenate([np.ones((1, len(truth.image_ids)), np.int8), drawn, half])
    ap, p50, p90 = (np.full((len(weights), len(rows)), np.nan) for _ in range(3))
    resampled = []
    for place, row in enumerate(rows):
        exact_ap = ExactAP(summary.reader.matched(row.cell).matches, counted)
        known = None if metric == SMALL_FACES else row.exact_draws.get(metrics(summary)[metric])
        resampled.append(known or resample(exact_ap, drawn))
        ap[:, place] = np.concatenate([[resampled[-1].value], resampled[-1].samples, exact_ap(half)])
        if row.calls is not None:
            quantiles = weighted_quantiles(row.calls.detect_ms, row.calls.image, weights, (0.5, 0.9))
            p50[:, place], p90[:, place] = quantiles
    by_chance = ranking.reach(resampled)
    on_draws, on_halves = (
        Candidates(ap[rows_of], p50[rows_of], p90[rows_of], by_chance)
        for rows_of in (slice(1 + len(drawn)), np.r_[0, 1 + len(drawn) : len(ap)])
    )
    return on_draws, on_halves


def accuracy(summary: Summary, row: Row, metric: str) -> float:
    """Return one of `metrics` of a finished row on all images.

    Raises:
        ResultsError: a table of the run is damaged.
    """
    if metric != SMALL_FACES:
        return row.exact_ap(metrics(summary)[metric])
    truth = summary.reader.truth
    exact_ap = ExactAP(summary.reader.matched(row.cell).matches, _counted(summary, metric, truth))
    return float(exact_ap(np.ones((1, len(truth.image_ids)), np.int8))[0])


def threshold_for(summary: Summary, row: Row, precision: float) -> ThresholdChoice:
    """Choose the score threshold at which a detector has a precision, on half of the images, over all their faces.

    Raises:
        UsageError: the precision is not in (0, 1].
        ResultsError: a table of the run is damaged.
    """
    matches, counted = summary.reader.matched(row.cell).matches, summary.reader.truth.masks["overall"]
    return choose_threshold(matches, counted, precision=precision, seed=summary.resampled.seed)


def aimed_at(summary: Summary, row: Row, target: ThresholdChoice) -> str:
    """Say what the threshold was chosen for and gives on the other half, with the interval of that."""
    truth, matches = summary.reader.truth, summary.reader.matched(row.cell).matches
    weights = summary.resampled.weights(truth.image_ids)
    seed = summary.resampled.seed
    ends = threshold_choice_interval(target, matches, truth.masks["overall"], weights, seed=seed)
    return target.statement + ("" if ends is None else f"; 95 %: {ends.low:.3g} to {ends.high:.3g}")


def _counted(summary: Summary, metric: str, truth: Truth) -> NDArray[np.bool_]:
    """Return the faces that a metric counts: bool (faces,)."""
    counted = truth.masks[metrics(summary)[metric]]
    heights = truth.faces.boxes[:, 3] - truth.faces.boxes[:, 1]
    return counted & (heights < SMALL_PX) if metric == SMALL_FACES else counted
