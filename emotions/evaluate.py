"""The classification report of a classifier: FER2013's held-out parts and CK+, and the study's own claim recomputed.

PublicTest is what the shipped model was chosen on, PrivateTest and the study's 2,867 are what it is reported on, CK+ is
of another origin. CK+ has no neutral faces and FER2013 no contempt: there the probabilities of the six shared classes
are brought to a sum of 1, and contempt is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..benchmarks.results import write_atomically
from ..benchmarks.scoring.bootstrap import CONFIDENCE, DRAWS, Interval, percentile_interval
from ..datasets.ckplus import CkPictures
from ..datasets.fer import FerPictures
from ..errors import DataError
from .classifier import EmotionClassifier
from .metrics import ClassificationReport, rates_of
from .shipping import as_json, measure, measure_shared_classes

SCHEMA = "facebench.emotion-classification"
SCHEMA_VERSION = 1
FER_SPLITS = ("private", "public", "validate")
TITLES = MappingProxyType(
    {
        "private": "FER2013 PrivateTest",
        "public": "FER2013 PublicTest",
        "validate": "FER2013, the study's 2,867",
        "ckplus": "CK+, six shared classes",
    }
)
NOTES = (
    "PublicTest: the shipped model was chosen on it.",
    "The 2,867 are pictures of FER2013's Training part: a classifier trained on all of that part, such as "
    "mini-xception, has seen them, and its numbers there are too good.",
    "CK+: the probabilities of the six classes that both data sets have are brought to a sum of 1; contempt is left "
    "out, neutral does not occur.",
)


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


@dataclass(frozen=True, slots=True)
class StudyClaim:
    """What the study this project began from said of its emotion model, and what its own numbers say.

    Attributes:
        pictures: it was tested on, a tenth of FER2013's Training part.
        claimed: what it calls accuracy.
        accuracy: of its own confusion matrix.
        macro_f1: of the same.
        best_accuracy: of the best of its 32 models.
    """

    pictures: int = 2867
    claimed: float = 0.59
    accuracy: float = 0.609
    macro_f1: float = 0.584
    best_accuracy: float = 0.647

    @property
    def right(self) -> int:
        """Pictures answered rightly, to the rounding of the accuracy (half a promille, 1 or 2 pictures)."""
        return round(self.accuracy * self.pictures)

    @property
    def right_as_claimed(self) -> int:
        """Pictures that would have been answered rightly had the claim been an accuracy."""
        return round(self.claimed * self.pictures)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy over other pictures of the kind: Wilson's score interval."""
        return wilson_interval(self.right, self.pictures)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What can be recomputed, and why the claim was no accuracy."""
        accuracy, claimed, macro_f1, best, low, high = (
            f"{100 * value:.1f}"
            for value in (self.accuracy, self.claimed, self.macro_f1, self.best_accuracy, *self.interval)
        )
        return (
            f"“{100 * self.claimed:.0f} %” was not an accuracy: it is the mean over the seven emotions of the share of "
            "right ones among the answers “this emotion” (precision), in which each emotion weighs the same however "
            "many faces show it, and which never looks at the faces of an emotion that were answered otherwise; "
            "accuracy is the share of all faces answered rightly.",
            f"The study's own confusion matrix gives an accuracy of {accuracy} %, which is {self.right:,} of "
            f"{self.pictures:,} pictures (95 % interval {low} to {high} %), and a macro-F1 of {macro_f1} %; an "
            f"accuracy of {claimed} % would be {self.right_as_claimed:,} pictures, "
            f"{self.right - self.right_as_claimed} fewer.",
            f"The best of its 32 models had {best} % on the same pictures. The matrix itself is not at hand, so its "
            "recalls and the interval of its macro-F1 cannot be recomputed here.",
        )


def wilson_interval(right: int, pictures: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the score interval of a share (Wilson, JASA 1927).

    Args:
        right: how many of them.
        pictures: how many there are.
        z: standard deviations; the usual value makes it a 95 % interval.

    Raises:
        DataError: there is no picture, or more are right than there are.

    >>> [round(end, 3) for end in wilson_interval(50, 100)]
    [0.404, 0.596]
    """
    if not 0 <= right <= pictures or pictures == 0:
        raise DataError(f"got {right} right of {pictures} pictures, expected 0 to all of at least one")
    share, spread = right / pictures, z * z / pictures
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / pictures + spread / (4 * pictures)) / (1 + spread)
    return middle - half, middle + half


def evaluate(
    classifier: EmotionClassifier,
    fer: FerPictures | None,
    ck: CkPictures | None = None,
    *,
    observer: Callable[[str], None] | None = None,
) -> Evaluation:
    """Classify all that is there.

    Args:
        classifier: any.
        fer: FER2013; its splits that are there are reported (a csv does not know the 2,867).
        ck: CK+.
        observer: told the title of each data set before it is classified.

    Raises:
        DataError: there is no picture at all.
    """
    reports = {}
    for name in FER_SPLITS:
        if fer is not None and fer.is_in(name).any():
            _tell(observer, name)
            reports[name] = measure(classifier, fer, name)
    if ck is not None and len(shared := ck.shared()):
        _tell(observer, "ckplus")
        reports["ckplus"] = measure_shared_classes(classifier, shared.images, shared.labels)
    if not reports:
        raise DataError("got no picture to classify, expected FER2013 with PublicTest or PrivateTest, or CK+")
    means = {name: mean_of_precisions(report.confusion) for name, report in reports.items()}
    return Evaluation(classifier.name, classifier.sha256, reports, means)


def mean_of_precisions(
    confusion: NDArray[np.integer[Any]], *, draws: int = DRAWS, seed: int = 0, confidence: float = CONFIDENCE
) -> MeanOfPrecisions:
    """Return the number that is easily taken for an accuracy, beside the accuracy.

    Drawing pictures with repetition is drawing cells of the confusion matrix by their counts, so the matrix is enough.

    Args:
        confusion: integers (c, c); rows are what the pictures show, columns what was answered.
        draws: resamples for the intervals.
        seed: names them.
        confidence: of the intervals.

    Raises:
        DataError: the matrix is not square, or holds no picture.
    """
    c = len(confusion)
    counts = np.asarray(confusion, np.int64)
    pictures = int(counts.sum())
    if counts.shape != (c, c) or pictures == 0:
        raise DataError(f"got a confusion matrix {counts.shape} of {pictures} pictures, expected (c, c) of at least 1")
    drawn = np.random.default_rng(seed).multinomial(pictures, counts.ravel() / pictures, size=draws)
    rates = rates_of(np.concatenate([counts[None], drawn.reshape(-1, c, c)]))
    precision = rates["precision"]
    answered = ~np.isnan(precision)
    mean = np.where(answered, precision, 0.0).sum(axis=1) / answered.sum(axis=1)
    less = mean - rates["accuracy"]
    return MeanOfPrecisions(
        percentile_interval(float(mean[0]), mean[1:], confidence),
        percentile_interval(float(less[0]), less[1:], confidence),
    )


def as_document(evaluations: Sequence[Evaluation], claim: StudyClaim | None = None) -> dict[str, Any]:
    """Return evaluations as plain values; numbers with an interval are [value, low, high], null where undefined."""
    claim = claim or StudyClaim()
    low, high = claim.interval
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "titles": dict(TITLES),
        "notes": list(NOTES),
        "classifiers": [
            {
                "name": one.classifier,
                "sha256": one.sha256,
                "reports": {name: _plain_report(one, name) for name in one.reports},
            }
            for one in evaluations
        ],
        "study": asdict(claim)
        | {
            "right": claim.right,
            "right_as_claimed": claim.right_as_claimed,
            "accuracy_interval": [round(low, 5), round(high, 5)],
            "sentences": list(claim.sentences),
        },
    }


def write_evaluation(evaluations: Sequence[Evaluation], path: Path) -> None:
    """Write evaluations as JSON.

    Raises:
        ResultsError: the file cannot be written.
    """
    write_atomically(path, json.dumps(as_document(evaluations), indent=1, allow_nan=False).encode())


def text_table(evaluations: Sequence[Evaluation]) -> str:
    """Return the report as text: a row a data set and classifier, then per class, then the confusion matrices."""
    parts = [_overall(evaluations)]
    for one in evaluations:
        for name, report in one.reports.items():
            title = f"{one.classifier}, {TITLES[name]}"
            parts += [f"{title}, by class", _per_class(report), f"{title}, answered (per cent of the row)"]
            parts.append(_confusion(report))
    return "\n\n".join([*parts, *NOTES, *StudyClaim().sentences])


def _overall(evaluations: Sequence[Evaluation]) -> str:
    head = ["data set", "classifier", "n", "accuracy", "balanced", "macro-F1", "ECE", "mean precision", "less accuracy"]
    rows = [
        [
            TITLES[name],
            one.classifier,
            f"{report.pictures:,}",
            *map(_percent, (report.accuracy, report.balanced_accuracy, report.macro_f1, report.calibration_error)),
            _percent(one.mean_precision[name].mean),
            _percent(one.mean_precision[name].less_accuracy, sign="+"),
        ]
        for name in TITLES
        for one in evaluations
        for report in ([one.reports[name]] if name in one.reports else [])
    ]
    return _aligned([head, *rows], words=2)


def _per_class(report: ClassificationReport) -> str:
    shown = report.confusion.sum(axis=1)
    rows = [
        [name, f"{shown[place]:,}", *(_percent(values[place]) for values in (report.precision, report.recall))]
        for place, name in enumerate(report.classes)
    ]
    return _aligned([["emotion", "shown", "precision", "recall"], *rows])


def _confusion(report: ClassificationReport) -> str:
    counts, shares = report.confusion, report.confusion_rows
    rows = [
        [name, *(f"{count:,} ({100 * share:.0f})" for count, share in zip(counts[i], shares[i], strict=True))]
        for i, name in enumerate(report.classes)
    ]
    return _aligned([["shown", *report.classes], *rows])


def _percent(interval: Interval, sign: str = "") -> str:
    if not math.isfinite(interval.value):
        return "–"
    numbers = [f"{100 * number:{sign}.1f}" for number in (interval.value, interval.low, interval.high)]
    return f"{numbers[0]} ({numbers[1]} to {numbers[2]})"


def _aligned(rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Lay rows out in columns, the first ones to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if place < words else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _plain_report(evaluation: Evaluation, name: str) -> dict[str, Any]:
    report, mean = evaluation.reports[name], evaluation.mean_precision[name]
    rows = [[None if math.isnan(share) else round(share, 5) for share in row] for row in report.confusion_rows.tolist()]
    plain = as_json(report) | {
        "classes": list(report.classes),
        "confusion_rows": rows,
        "mean_precision": _plain(mean.mean),
        "mean_precision_less_accuracy": _plain(mean.less_accuracy),
    }
    return {key: _without_nan(value) for key, value in plain.items()}


def _plain(interval: Interval) -> list[float]:
    return [round(number, 5) for number in (interval.value, interval.low, interval.high)]


def _without_nan(value: Any) -> Any:
    """Put None in place of numbers that JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    return value


def _tell(observer: Callable[[str], None] | None, name: str) -> None:
    if observer is not None:
        observer(TITLES[name])
