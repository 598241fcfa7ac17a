"""The classification report of a classifier: FER2013's held-out parts and CK+.

PublicTest is what the shipped model was chosen on, PrivateTest and the study's 2,867 are what it is reported on, CK+ is
of another origin. CK+ has no neutral faces and FER2013 no contempt: there the probabilities of the six shared classes
are scaled to a sum of 1, and contempt is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.resampling.bootstrap import DRAWS, Interval, percentile_interval
from ...benchmarks.store.documents import finite, json_text
from ...benchmarks.store.run_folder import write_atomically
from ...datasets.faces.ckplus import CkImages
from ...datasets.faces.fer import EMOTIONS, FerImages
from ...errors import DataError
from ..pipeline.classifier import EmotionClassifier
from .classification import ClassificationReport, classification_report, rates_of

SCHEMA = "facebench.emotion-classification"
SCHEMA_VERSION = 1
FER_SPLITS = ("private", "public", "validate")
TITLES = MappingProxyType(
    {
        "private": "FER2013 PrivateTest",
        "private-new": "of these, new to Training",
        "private-repeated": "of these, repeated in Training",
        "public": "FER2013 PublicTest",
        "validate": "FER2013, the study's 2,867",
        "ckplus": "CK+, six shared classes",
    }
)
_NOTES = {
    "private-repeated": "Some images of PrivateTest repeat one of FER2013's Training part: pixel-equal, nearly so, "
    "or mirrored. A classifier that learnt from all of Training has seen those; facebench's own has not.",
    "public": "PublicTest: the shipped model was chosen on it.",
    "validate": "The 2,867 are images of FER2013's Training part: a classifier trained on all of that part, such as "
    "mini-xception, has seen them, and its numbers there are too good.",
    "ckplus": "CK+: the probabilities of the six classes that both data sets have are scaled to a sum of 1; contempt "
    "is left out, neutral does not occur.",
}


@dataclass(frozen=True, slots=True, eq=False)
class MeanOfPrecisions:
    """The mean over the classes of the share of right ones among the answers "this class", beside the accuracy.

    Attributes:
        mean: with its interval; classes never answered are left out of the mean.
        less_accuracy: the mean less the accuracy, on the same draws.
    """

    mean: Interval
    less_accuracy: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One classifier on all data sets.

    Attributes:
        classifier: its name.
        sha256: of its weights.
        reports: by the names in `TITLES`; those of the data that were there.
        mean_precision: by the same names.
    """

    classifier: str
    sha256: str
    reports: Mapping[str, ClassificationReport]
    mean_precision: Mapping[str, MeanOfPrecisions]


def measure(classifier: EmotionClassifier, images: FerImages, split: str) -> ClassificationReport:
    """Score a classifier on one split of FER2013.

    Raises:
        UsageError: the split is unknown.
        DataError: there is no image of it.
    """
    part = images.split(split)
    return classification_report(part.labels, classifier.classify_grey(part.images), EMOTIONS)


def measure_shared_classes(
    classifier: EmotionClassifier, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]
) -> ClassificationReport:
    """Score a classifier on images that show only some of `EMOTIONS`, such as CK+, which has no neutral ones.

    Classes that no image shows are not a possible answer: the probabilities of the others are scaled to a sum of 1.

    Args:
        classifier: any.
        images: uint8 (n, 48, 48), grey.
        labels: integers (n,), indices into `EMOTIONS`.

    Raises:
        DataError: there is no image.
    """
    shown = np.unique(labels)
    probabilities = classifier.classify_grey(images)[:, shown].astype(np.float64)
    probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return classification_report(np.searchsorted(shown, labels), probabilities, [EMOTIONS[i] for i in shown])


def evaluate(
    classifier: EmotionClassifier,
    fer: FerImages | None,
    ck: CkImages | None = None,
    *,
    repeated: NDArray[np.bool_] | None = None,
    observer: Callable[[str], None] | None = None,
) -> Evaluation:
    """Classify all that is there.

    Args:
        classifier: any.
        fer: FER2013; its splits that are there are reported (a csv does not know the 2,867).
        ck: CK+.
        repeated: bool (n,): from `datasets.duplicates.repeats_of_training` of `fer`, to report PrivateTest by it too.
        observer: told the title of each data set before it is classified.

    Raises:
        DataError: there is no image at all.
    """
    reports = {}
    for name in FER_SPLITS:
        if fer is not None and fer.is_in(name).any():
            _tell(observer, name)
            reports[name] = measure(classifier, fer, name)
    if fer is not None and repeated is not None:
        for name, chosen in (("private-new", ~repeated), ("private-repeated", repeated)):
            part = fer.where(chosen & fer.is_in("private"))
            if len(part):
                _tell(observer, name)
                reports[name] = measure(classifier, part, "private")
    if ck is not None and len(shared := ck.shared()):
        _tell(observer, "ckplus")
        reports["ckplus"] = measure_shared_classes(classifier, shared.images, shared.labels)
    if not reports:
        raise DataError("got no image to classify, expected FER2013 with PublicTest or PrivateTest, or CK+")
    means = {name: mean_of_precisions(report.confusion) for name, report in reports.items()}
    return Evaluation(classifier.name, classifier.sha256, reports, means)


def mean_of_precisions(confusion: NDArray[np.integer[Any]], *, draws: int = DRAWS, seed: int = 0) -> MeanOfPrecisions:
    """Return the number that is easily taken for an accuracy, beside the accuracy.

    Drawing images with repetition is drawing cells of the confusion matrix by their counts, so the matrix is enough.

    Args:
        confusion: integers (c, c); rows are what the images show, columns what was answered.
        draws: resamples for the intervals.
        seed: names them.

    Raises:
        DataError: the matrix is not square, or holds no image.
    """
    c = len(confusion)
    counts = np.asarray(confusion, np.int64)
    images = int(counts.sum())
    if counts.shape != (c, c) or images == 0:
        raise DataError(f"got a confusion matrix {counts.shape} of {images} images, expected (c, c) of at least 1")
    drawn = np.random.default_rng(seed).multinomial(images, counts.ravel() / images, size=draws)
    rates = rates_of(np.concatenate([counts[None], drawn.reshape(-1, c, c)]))
    precision = rates["precision"]
    answered = ~np.isnan(precision)
    mean = np.where(answered, precision, 0.0).sum(axis=1) / answered.sum(axis=1)
    less = mean - rates["accuracy"]
    return MeanOfPrecisions(
        percentile_interval(float(mean[0]), mean[1:]),
        percentile_interval(float(less[0]), less[1:]),
    )


def as_document(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return evaluations as plain values; numbers with an interval are [value, low, high], null where undefined."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "titles": dict(TITLES),
        "notes": notes(name for one in evaluations for name in one.reports),
        "classifiers": [
            {
                "name": one.classifier,
                "sha256": one.sha256,
                "reports": {name: _plain_report(one, name) for name in one.reports},
            }
            for one in evaluations
        ],
    }


def notes(datasets: Iterable[str]) -> list[str]:
    """Return what a reader must know of some of the data sets in `TITLES`, one sentence each."""
    named = set(datasets)
    return [note for name, note in _NOTES.items() if name in named]


def write_evaluation(evaluations: Sequence[Evaluation], path: Path) -> None:
    """Write evaluations as JSON.

    Raises:
        ResultsError: the file cannot be written.
    """
    write_atomically(path, json_text(as_document(evaluations)).encode())


def as_json(report: ClassificationReport) -> dict[str, Any]:
    """Return a report as plain values: intervals as [value, low, high], None where undefined, classes by name."""
    names = {name: _plain(getattr(report, name)) for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    names["calibration_error"] = [finite(round(report.calibration_error, 5)), None, None]
    per_class = {
        name: dict(zip(report.classes, map(_plain, getattr(report, name)), strict=True))
        for name in ("precision", "recall", "f1")
    }
    return {"pictures": report.images, **names, **per_class, "confusion": report.confusion.tolist()}


def _plain_report(evaluation: Evaluation, name: str) -> dict[str, Any]:
    report, mean = evaluation.reports[name], evaluation.mean_precision[name]
    return as_json(report) | {
        "classes": list(report.classes),
        "confusion_rows": [[finite(round(share, 5)) for share in row] for row in report.confusion_rows.tolist()],
        "mean_precision": _plain(mean.mean),
        "mean_precision_less_accuracy": _plain(mean.less_accuracy),
    }


def _plain(interval: Interval) -> list[float | None]:
    ends: list[float | None] = finite([round(number, 5) for number in (interval.value, interval.low, interval.high)])
    return ends


def _tell(observer: Callable[[str], None] | None, name: str) -> None:
    if observer is not None:
        observer(TITLES[name])
