"""How good a classification is: accuracy, balanced accuracy, macro-F1, precision, recall, confusion, calibration.

Everything but the calibration is computed from one confusion matrix, and its interval from the confusion matrices of
resampled images (`draw_weights`), so that the numbers cannot contradict each other.

Classes that no image of a draw shows have no recall, and classes never answered have no precision: nan. Balanced
accuracy averages the classes that are shown. F1 of a class is 2 hits / (shown + answered), which is 0 where a class is
shown and never answered; macro-F1 averages the classes that are shown or answered, as scikit-learn does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.resampling.bootstrap import DRAWS, Interval, draw_weights, percentile_interval
from ...benchmarks.resampling.effective import Basis, effective_mass, effective_number
from ...benchmarks.resampling.statistics import Ratio
from ...errors import DataError

CALIBRATION_BINS = 15

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationReport:
    """All numbers of one classification, each but the last with its interval over resampled images.

    Attributes:
        classes: names, c of them.
        images: how many were classified.
        confusion: int64 (c, c); rows are what the images show, columns what was answered.
        accuracy: share of right answers.
        balanced_accuracy: mean of the recalls.
        macro_f1: mean of the F1 of the classes.
        precision: of each class, c of them.
        recall: of each class, c of them.
        f1: of each class, c of them.
        calibration_error: ECE of the highest probability, over `CALIBRATION_BINS` bins of equal width. An absolute
            value, which chance alone makes larger, the more the fewer images; so resampling can give it no interval.
    """

    classes: tuple[str, ...]
    images: int
    confusion: NDArray[np.int64]
    accuracy: Interval
    balanced_accuracy: Interval
    macro_f1: Interval
    precision: tuple[Interval, ...]
    recall: tuple[Interval, ...]
    f1: tuple[Interval, ...]
    calibration_error: float

    @property
    def confusion_rows(self) -> _Floats:
        """The confusion matrix as shares of its rows, float64 (c, c); nan in the row of a class never shown."""
        with np.errstate(invalid="ignore"):
            rows: _Floats = self.confusion / self.confusion.sum(axis=1, keepdims=True)
        return rows


def classification_report(
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    classes: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> ClassificationReport:
    """Score a classification.

    Args:
        labels: integers (n,), indices into `classes`.
        probabilities: floats (n, c) in 0..1, rows summing to 1.
        classes: names, c of them.
        draws: resamples for the intervals.
        seed: names them.

    Raises:
        DataError: the arrays do not fit together, or there is no image.
    """
    count = len(classes)
    _check(labels, probabilities, count)
    answers = probabilities.argmax(axis=1)
    cells = labels.astype(np.int64) * count + answers
    weights = np.concatenate([np.ones((1, len(labels)), np.int32), draw_weights(len(labels), draws=draws, seed=seed)])
    columns = np.zeros((len(labels), count * count))
    columns[np.arange(len(labels)), cells] = 1.0
    confusions = (weights.astype(np.float64) @ columns).reshape(-1, count, count)
    rates, rests_on = rates_of(confusions), _bases(labels, answers, count)

    def interval(name: str) -> Interval:
        return percentile_interval(float(rates[name][0]), rates[name][1:], rests_on[name][0])

    def intervals(name: str) -> tuple[Interval, ...]:
        of_classes = zip(rates[name].T, rests_on[name], strict=True)
        return tuple(percentile_interval(float(values[0]), values[1:], basis) for values, basis in of_classes)

    return ClassificationReport(
        classes=tuple(classes),
        images=len(labels),
        confusion=confusions[0].astype(np.int64),
        accuracy=interval("accuracy"),
        balanced_accuracy=interval("balanced_accuracy"),
        macro_f1=interval("macro_f1"),
        precision=intervals("precision"),
        recall=intervals("recall"),
        f1=intervals("f1"),
        calibration_error=_calibration_error(probabilities.max(axis=1), answers == labels),
    )


def rates_of(confusions: NDArray[np.integer[Any]] | _Floats) -> dict[str, _Floats]:
    """Return the rates of confusion matrices (…, c, c): rows shown, columns answered.

    accuracy, balanced_accuracy and macro_f1 are (…); precision, recall and f1 are (…, c). Where nothing is shown, the
    first three are nan.

    >>> rates = rates_of(np.array([[3, 1], [2, 4]]))
    >>> [round(float(rates[name]), 3) for name in ("accuracy", "balanced_accuracy", "macro_f1")]
    [0.7, 0.708, 0.697]
    """
    counts = np.asarray(confusions, dtype=np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    shown, answered = counts.sum(axis=-1), counts.sum(axis=-2)
    recall, f1 = _ratio(hits, shown), _ratio(2 * hits, shown + answered)
    return {
        "accuracy": _ratio(hits.sum(axis=-1), shown.sum(axis=-1)),
        "balanced_accuracy": _mean_of_defined(recall),
        "macro_f1": _mean_of_defined(f1),
        "precision": _ratio(hits, answered),
        "recall": recall,
        "f1": f1,
    }


def _calibration_error(confidences: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """Return the ECE (Guo et al., ICML 2017): mean of |mean confidence - accuracy| over the bins.

    A bin holds its upper edge.
    """
    bins = CALIBRATION_BINS
    bin_of = np.clip(np.ceil(confidences.astype(np.float64) * bins) - 1, 0, bins - 1).astype(np.int64)
    # In each bin |sum of (confidence - right)| is its weight times |mean confidence - accuracy|.
    return float(np.abs(np.bincount(bin_of, confidences.astype(np.float64) - right)).sum() / len(right))


def _bases(labels: NDArray[np.integer[Any]], answers: NDArray[np.integer[Any]], count: int) -> dict[str, list[Basis]]:
    """Return what each rate rests on, of one or of each class."""
    shown, answered = (one[:, None] == np.arange(count) for one in (labels, answers))
    per_class = {
        "precision": (shown & answered, answered),
        "recall": (shown & answered, shown),
        "f1": (2 * (shown & answered), shown.astype(np.int64) + answered),
    }
    ratios = {
        name: [Ratio(*one) for one in zip(*(columns.T.astype(np.float64) for columns in pair), strict=True)]
        for name, pair in per_class.items()
    }
    accuracy = Ratio((labels == answers).astype(np.float64), np.ones(len(labels)))

    def basis(*averaged: Ratio) -> Basis:
        influence = np.mean([one.influence() for one in averaged], axis=0)
        mass = effective_mass(np.sum([one.mass for one in averaged], axis=0))
        return Basis(len(labels), float(effective_number(influence)), float(mass), (0.0, 1.0))

    return {
        "accuracy": [basis(accuracy)],
        "balanced_accuracy": [basis(*ratios["recall"])],
        "macro_f1": [basis(*ratios["f1"])],
        **{name: [basis(one) for one in of_classes] for name, of_classes in ratios.items()},
    }


def _ratio(part: _Floats, whole: _Floats) -> _Floats:
    undefined = np.full(np.broadcast(part, whole).shape, np.nan)
    quotient: _Floats = np.divide(part, whole, out=undefined, where=whole > 0)
    return quotient


def _mean_of_defined(values: _Floats) -> _Floats:
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))


def _check(labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]], count: int) -> None:
    if labels.ndim != 1 or len(labels) == 0 or probabilities.shape != (len(labels), count):
        raise DataError(
            f"got labels {labels.shape} and probabilities {probabilities.shape}, expected (n,) and (n, {count}), n > 0"
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < count:
        raise DataError(f"got labels {labels.min()} to {labels.max()}, expected 0 to {count - 1}")
    sums = probabilities.sum(axis=1)
    if not (np.isfinite(probabilities).all() and probabilities.min() >= 0 and np.abs(sums - 1).max() < 1e-3):
        raise DataError(
            f"got probabilities from {probabilities.min():.3g} to {probabilities.max():.3g} with sums from "
            f"{sums.min():.4g} to {sums.max():.4g}; expected 0 to 1 with sums of 1: apply softmax to logits first"
        )
