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
from ...errors import DataError

CALIBRATION_BINS = 15

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationReport:
    """All numbers of one classification, each with its interval over resampled images.

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
        calibration_error: ECE of the highest probability, over `CALIBRATION_BINS` bins of equal width.
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
    calibration_error: Interval

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
    confusions = _per_bin(weights, cells, count * count).reshape(-1, count, count)
    rates = rates_of(confusions)
    rates["calibration_error"] = _calibration_errors(weights, probabilities.max(axis=1), answers == labels)

    def interval(values: _Floats) -> Interval:
        return percentile_interval(float(values[0]), values[1:])

    def intervals(values: _Floats) -> tuple[Interval, ...]:
        return tuple(interval(column) for column in values.T)

    return ClassificationReport(
        classes=tuple(classes),
        images=len(labels),
        confusion=confusions[0].astype(np.int64),
        accuracy=interval(rates["accuracy"]),
        balanced_accuracy=interval(rates["balanced_accuracy"]),
        macro_f1=interval(rates["macro_f1"]),
        precision=intervals(rates["precision"]),
        recall=intervals(rates["recall"]),
        f1=intervals(rates["f1"]),
        calibration_error=interval(rates["calibration_error"]),
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


def _calibration_errors(
    weights: NDArray[np.int32], confidences: NDArray[np.floating[Any]], right: NDArray[np.bool_]
) -> _Floats:
    """Return the ECE (Guo et al., ICML 2017) under each draw: mean of |mean confidence - accuracy| over the bins.

    A bin holds its upper edge.
    """
    bins = CALIBRATION_BINS
    bin_of = np.clip(np.ceil(confidences.astype(np.float64) * bins) - 1, 0, bins - 1).astype(np.int64)
    # In each bin |sum of (confidence - right)| is its weight times |mean confidence - accuracy|.
    excess = _per_bin(weights, bin_of, bins, confidences.astype(np.float64) - right)
    return _ratio(np.abs(excess).sum(axis=1), weights.sum(axis=1).astype(np.float64))


def _per_bin(
    weights: NDArray[np.int32], bin_of: NDArray[np.int64], bins: int, values: _Floats | None = None
) -> _Floats:
    """Sum weights, or weighted values, (draws, n) over the images of each bin: float64 (draws, bins)."""
    columns = np.zeros((len(bin_of), bins))
    columns[np.arange(len(bin_of)), bin_of] = 1.0 if values is None else values
    product: _Floats = weights.astype(np.float64) @ columns
    return product


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
