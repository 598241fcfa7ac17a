"""What degraded images do to each detector: average precision by degradation, and one figure of robustness.

The figures are those of Michaelis et al., Benchmarking Robustness in Object Detection, 2019. `mean_ap`, their mPC, is
the mean over kinds and severities of AP on degraded images: what a detector still finds. `kept`, their rPC, is that
over its AP on the images as they are: what share it keeps. Detectors are ranked by `kept`, which is robustness and
not quality: a detector that finds little may lose little, so both figures stand side by side.

Every AP of every detector is computed on the same draws of images. Differences, also those between a detector on
degraded images and on the images as they are, and the ratio in `kept`, are therefore paired. A figure over several
degradations needs all of them: a detector that misses one has none, rather than one that does not compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ...datasets.degraded.degradations import Degradation
from ..analysis.table import Resampling, one_blas_thread
from ..resampling.average_precision import ExactAP
from ..resampling.bootstrap import Difference, Interval, Resampled, interval, paired_difference, resample
from ..resampling.ranking import first_shares, tied_with_best
from ..resampling.statistics import ratio
from ..store.records import StoredCell
from ..store.run_folder import RunFolder
from ..store.truth import Truth, decoded_ids
from .run import Condition, open_condition, read_index

CLEAN = None
"""Stands for the images as they are, where a degradation may stand."""
OnDraws = Mapping[Degradation | None, Resampled]
"""AP of one detector on the same draws: under `CLEAN` and under each degradation."""


@dataclass(frozen=True, slots=True)
class StressPoint:
    """One detector under one degradation.

    Attributes:
        degradation: what was done to the images.
        ap: exact AP.
        change: AP less that on the images as they are, paired.
    """

    degradation: Degradation
    ap: Interval
    change: Interval


@dataclass(frozen=True, slots=True)
class StressRow:
    """One detector.

    Attributes:
        key: of its cell in the run on the images as they are.
        label: see `StoredCell.label`.
        clean: exact AP on the images as they are.
        points: in the order of `StressScores.degradations`, those that were run.
        kept: mean AP on degraded images over AP on clean ones; nan where a degradation was not run, as is `mean_ap`.
        mean_ap: mean AP on degraded images: over the severities of each kind, then over kinds.
        kept_by_kind: the same as `kept` for each kind that is complete.
        missing: degradations without a result.
    """

    key: str
    label: str
    clean: Interval
    points: tuple[StressPoint, ...]
    kept: Interval
    mean_ap: Interval
    kept_by_kind: Mapping[str, Interval]
    missing: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True)
class StressScores:
    """A scored stress run.

    Attributes:
        rows: by falling `kept`; those without it last.
        degradations: by kind and severity.
        words: what each of them does.
        list_name: the list that AP is on, or "overall".
        images: that were scored, decodable under every degradation.
        tied: keys of the most robust detector and of those not significantly worse, by `kept`.
        first: key -> share of the draws in which it keeps most.
        differences: (key, key) -> difference in `kept`, first less second, for each pair of ranked rows.
        best_ap: the same as `tied` by `mean_ap`.
        resampled: how images were drawn.
    """

    rows: tuple[StressRow, ...]
    degradations: tuple[Degradation, ...]
    words: Mapping[Degradation, str]
    list_name: str
    images: int
    tied: tuple[str, ...]
    first: Mapping[str, float]
    differences: Mapping[tuple[str, str], Difference]
    best_ap: tuple[str, ...]
    resampled: Resampling


def score_stress(run: RunFolder, resampling: Resampling | None = None) -> StressScores | None:
    """Score a stress run on the run's hardest list.

    Args:
        run: of the images as they are.
        resampling: how images are drawn for the intervals.

    Returns:
        The scores; None where the folder holds no stress run.

    Raises:
        ResultsError: a table is missing or damaged.
    """
    index = read_index(run)
    if index is None:
        return None
    opened = {one: open_condition(run, one) for one in index.conditions}
    folders: dict[Degradation | None, RunFolder] = {CLEAN: run}
    folders |= {one.degradation: folder for one, folder in opened.items() if folder is not None}
    shared = _shared_images(folders.values())
    list_name = run.document.dataset.ranking
    resampling = resampling or Resampling()
    weights = resampling.weights(shared)
    cells = {cell.key: cell for cell in run.cells if cell.done}
    measured: dict[str, dict[Degradation | None, Resampled]] = {key: {} for key in cells}
    with one_blas_thread():
        for degradation, folder in folders.items():
            truth = _truth(folder, shared)
            for key, cell in cells.items():
                there = _same_cell(folder, cell)
                if there is not None:
                    measured[key][degradation] = _average_precision(folder, there, truth, list_name, weights)
    return rank(
        {key: (cells[key].label, draws) for key, draws in measured.items()},
        index.conditions,
        list_name,
        len(shared),
        resampling,
    )


def rank(
    measured: Mapping[str, tuple[str, OnDraws]],
    conditions: Sequence[Condition],
    list_name: str,
    images: int,
    resampling: Resampling,
) -> StressScores:
    """Turn AP on draws into the figures and their ranking.

    Args:
        measured: key -> label, and AP under each degradation that was run; `CLEAN` always.
        conditions: what was to be run.
        list_name: see `StressScores`.
        images: the same.
        resampling: the same.

    Raises:
        UsageError: where the numbers of draws differ.
    """
    wanted = [one.degradation for one in conditions]
    by_kind = {kind: [one for one in wanted if one.kind == kind] for kind in dict.fromkeys(one.kind for one in wanted)}
    kept, mean_ap = {}, {}
    for key, (_, draws) in measured.items():
        if wanted and all(one in draws for one in wanted):
            mean_ap[key] = _mean([_mean([draws[one] for one in of]) for of in by_kind.values()])
            kept[key] = _share(mean_ap[key], draws[CLEAN])
    rows = [_row(key, label, draws, by_kind, kept, mean_ap) for key, (label, draws) in measured.items()]
    rows.sort(key=lambda row: (-row.kept.value if math.isfinite(row.kept.value) else math.inf, row.label))
    ranked = [row.key for row in rows if math.isfinite(row.kept.value)]
    kept = {key: kept[key] for key in ranked}
    pairs = [(a, b) for place, a in enumerate(ranked) for b in ranked[place + 1 :]]
    return StressScores(
        rows=tuple(rows),
        degradations=tuple(wanted),
        words={one.degradation: one.words for one in conditions},
        list_name=list_name,
        images=images,
        tied=tied_with_best(kept),
        first=first_shares(kept),
        differences={(a, b): paired_difference(kept[a], kept[b]) for a, b in pairs},
        best_ap=tied_with_best(mean_ap),
        resampled=resampling,
    )


def _row(
    key: str,
    label: str,
    draws: OnDraws,
    by_kind: Mapping[str, Sequence[Degradation]],
    kept: Mapping[str, Resampled],
    mean_ap: Mapping[str, Resampled],
) -> StressRow:
    clean, wanted = draws[CLEAN], [one for of in by_kind.values() for one in of]
    nothing = Resampled(math.nan, np.full(len(clean.samples), math.nan), np.zeros_like(clean.influence))
    return StressRow(
        key=key,
        label=label,
        clean=interval(clean),
        points=tuple(
            StressPoint(one, interval(draws[one]), paired_difference(draws[one], clean).interval)
            for one in wanted
            if one in draws
        ),
        kept=interval(kept.get(key, nothing)),
        mean_ap=interval(mean_ap.get(key, nothing)),
        kept_by_kind={
            kind: interval(_share(_mean([draws[one] for one in of]), clean))
            for kind, of in by_kind.items()
            if all(one in draws for one in of)
        },
        missing=tuple(one for one in wanted if one not in draws),
    )


def _mean(of: Sequence[Resampled]) -> Resampled:
    value, samples, influence = (
        np.mean([getattr(one, name) for one in of], axis=0) for name in ("value", "samples", "influence")
    )
    return Resampled(float(value), samples, influence, of[0].mass, of[0].limits)


def _share(part: Resampled, whole: Resampled) -> Resampled:
    values = ratio(np.append(part.value, part.samples), np.append(whole.value, whole.samples))
    influence = part.influence - np.nan_to_num(values[0]) * whole.influence
    return Resampled(float(values[0]), values[1:], influence, limits=(0.0, math.inf))


def _shared_images(folders: Iterable[RunFolder]) -> list[str]:
    """Return the images that could be decoded everywhere, in the order of the first folder."""
    usable = [decoded_ids(folder.images()) for folder in folders]
    everywhere = set(usable[0]).intersection(*usable[1:])
    return [name for name in usable[0] if name in everywhere]


def _truth(folder: RunFolder, image_ids: Sequence[str]) -> Truth:
    images = folder.images().set_index("image_id").loc[list(image_ids)].reset_index()
    return Truth.of_tables(images, folder.faces(), folder.document.dataset.lists)


def _same_cell(folder: RunFolder, cell: StoredCell) -> StoredCell | None:
    """Return the finished cell of the same detector, protocol, device and threads; None where there is none."""
    same = attrgetter("place", "parameters", "models", "code")
    return next((one for one in folder.cells if one.done and same(one) == same(cell)), None)


def _average_precision(
    folder: RunFolder, cell: StoredCell, truth: Truth, list_name: str, weights: NDArray[np.integer]
) -> Resampled:
    matches = truth.matched(cell, folder.detections(cell)).matches
    return resample(ExactAP(matches, truth.masks[list_name]), weights)
