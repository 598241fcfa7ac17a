"""How right detector and classifier are together, and which of them loses what.

Every labelled face is in the denominator: a face that is not found is a wrong answer. Scores over the faces that each
detector found cannot be compared between detectors, for each then has its own, easier faces.

The oracle is the same classifier on the annotated boxes under the same crop policy. What it gets right and the detector
does not is lost in one of two places, and the two losses add up in whole faces:

    oracle right - right = missed_right + (crop_lost - crop_gained)

`missed_right`: the oracle is right, and the face was not found. `crop_lost`: found, the oracle right, the crop of the
detector's box wrong; `crop_gained`: the other way round, by luck or by a better box, so the crop loss can be negative.

Emotions given to false alarms, second boxes on a face among them, stand apart: they have no face to be wrong about.
Intervals draw whole images, see `benchmarks.scoring.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.resampling.bootstrap import (
    Difference,
    Interval,
    Resampled,
    interval,
    paired_difference,
    resample_ratios,
)
from ...benchmarks.resampling.statistics import Ratio, checked_weights
from ...datasets.faces.fer import EMOTIONS
from ...datasets.manage.statistics import in_bins
from ...errors import DataError

MISSED = -1
"""The answer for a face that was not found."""
SIZES_PX = MappingProxyType(
    {
        "below 32": (-np.inf, 32.0),
        "32 to 48": (32.0, 48.0),
        "48 to 64": (48.0, 64.0),
        "64 to 96": (64.0, 96.0),
        "96 to 160": (96.0, 160.0),
        "160 and more": (160.0, np.inf),
    }
)
"""Name -> lowest height of a face and the height it stays below."""
COUNTS = (
    "pictures", "faces", "detected", "right", "oracle_right", "missed_right", "crop_lost", "crop_gained",
    "false_alarms",
)  # fmt: skip
RATES = (
    "oracle_accuracy", "detected_rate", "accuracy_when_detected", "e2e_accuracy", "miss_loss", "crop_loss",
    "false_alarms_per_picture",
)  # fmt: skip

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """The faces that count, n of them.

    Attributes:
        labels: int8 (n,), indices into `EMOTIONS`.
        image: int64 (n,), the number of the image of each, 0 to images - 1.
        heights_px: float64 (n,), of the annotated boxes.
        images: how many there are, those without a face included.

    Raises:
        DataError: the arrays do not fit together.
    """

    labels: NDArray[np.int8]
    image: NDArray[np.int64]
    heights_px: _Floats
    images: int

    def __post_init__(self) -> None:
        n = len(self.labels)
        _check("labels", self.labels, np.int8, n, 0, len(EMOTIONS))
        _check("image", self.image, np.int64, n, 0, self.images)
        _check("heights_px", self.heights_px, np.float64, n)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one detector's boxes gave, under one crop policy, by one classifier.

    Attributes:
        faces: int8 (n,): the emotion answered for each labelled face, an index into `EMOTIONS`, or `MISSED`.
        alarm_picture: int64 (a,): the image of each false alarm.
        alarm_emotion: int8 (a,): the emotion given to it.

    Raises:
        DataError: the arrays do not fit together.
    """

    faces: NDArray[np.int8]
    alarm_image: NDArray[np.int64]
    alarm_emotion: NDArray[np.int8]

    def __post_init__(self) -> None:
        _check("faces", self.faces, np.int8, len(self.faces), MISSED, len(EMOTIONS))
        _check("alarm_image", self.alarm_image, np.int64, len(self.alarm_image), 0)
        _check("alarm_emotion", self.alarm_emotion, np.int8, len(self.alarm_image), 0, len(EMOTIONS))

    @classmethod
    def from_probabilities(
        cls,
        matched: NDArray[np.integer[Any]],
        probabilities: NDArray[np.floating[Any]],
        image: NDArray[np.integer[Any]],
        false_alarm: NDArray[np.bool_],
    ) -> Answers:
        """Take the most probable emotion of each detection.

        Args:
            matched: integers (n,): the detection that found each labelled face; -1 where none did.
            probabilities: floats (m, 7), of the crops of m detections.
            image: integers (m,), the image of each detection.
            false_alarm: bool (m,): the detections on no face, and the second ones on a face. Those that are neither
                this nor matched, being on faces that do not count, are left out.

        Raises:
            DataError: the arrays do not fit together, or one detection stands for two faces or for none.
        """
        m = len(probabilities)
        if probabilities.shape != (m, len(EMOTIONS)) or not (len(image) == len(false_alarm) == m):
            raise DataError(
                f"got probabilities {probabilities.shape}, images of {len(image)} and verdicts on "
                f"{len(false_alarm)} detections, expected (m, {len(EMOTIONS)}), m and m"
            )
        used = matched[matched >= 0]
        if used.size and (used.max() >= m or len(np.unique(used)) < len(used) or false_alarm[used].any()):
            raise DataError(f"expected each of {m} detections to find one face at most and to be no false alarm then")
        emotion = probabilities.argmax(axis=1).astype(np.int8)
        faces = np.append(emotion, np.int8(MISSED))[np.where(matched >= 0, matched, -1)]
        return cls(faces, image[false_alarm].astype(np.int64), emotion[false_alarm])


@dataclass(frozen=True, slots=True)
class Totals:
    """Whole numbers, from which everything else follows; see the module for what they are.

    Attributes:
        images: all images.
        faces: labelled faces, the one denominator.
        detected: faces found.
        right: faces found and given their emotion.
        oracle_right: faces given their emotion on the annotated box.
        missed_right: of these, those not found.
        crop_lost: of these, those found and answered wrongly.
        crop_gained: faces answered rightly that the oracle answers wrongly.
        false_alarms: boxes on no face and second ones on a face, each of which is given an emotion.
    """

    images: int
    faces: int
    detected: int
    right: int
    oracle_right: int
    missed_right: int
    crop_lost: int
    crop_gained: int
    false_alarms: int

    @property
    def own_errors(self) -> int:
        """Faces wrong at the end that the oracle gets wrong too: with the three other kinds they make all faces.

        faces = right + crop_lost + missed_right + own_errors
        """
        return self.faces - self.right - self.crop_lost - self.missed_right


@dataclass(frozen=True, slots=True, eq=False)
class GroupScore:
    """Some of the faces: those of one emotion, or of one size.

    Attributes:
        name: such as "happy" or "32 to 48".
        totals: false alarms belong to no group, so there are none.
        rates: by the names in `RATES`, without the false alarms.
    """

    name: str
    totals: Totals
    rates: Mapping[str, Interval]


@dataclass(frozen=True, slots=True, eq=False)
class EndToEnd:
    """The score of one detector with one classifier and one crop policy.

    Attributes:
        totals: whole numbers.
        rates: by the names in `RATES`. oracle_accuracy - e2e_accuracy = miss_loss + crop_loss, all four over all faces;
            accuracy_when_detected is over the faces found, so it does not compare between detectors.
        by_emotion: a score for each emotion that is shown.
        by_size: a score for each of `SIZES_PX` that is there.
        alarm_emotions: int64 (7,): how often each emotion was given to a false alarm.
        e2e: accuracy on the images as they are and under each draw, for paired differences.
    """

    totals: Totals
    rates: Mapping[str, Interval]
    by_emotion: tuple[GroupScore, ...]
    by_size: tuple[GroupScore, ...]
    alarm_emotions: NDArray[np.int64]
    e2e: Resampled


def end_to_end(
    known: LabelledFaces,
    oracle: NDArray[np.int8],
    answers: Answers,
    weights: NDArray[np.integer[Any]],
) -> EndToEnd:
    """Score a detector together with a classifier.

    Args:
        known: the labelled faces.
        oracle: int8 (n,), the emotions answered on the annotated boxes.
        answers: what the detector's boxes gave.
        weights: integers (draws, images), how often each image is drawn; see `draw_weights`. Give all detectors the
            same for paired differences.

    Raises:
        DataError: the arrays do not fit together.
        UsageError: the weights are not whole numbers for each image.
    """
    _check("oracle", oracle, np.int8, len(known), 0, len(EMOTIONS))
    _check("answers", answers.faces, np.int8, len(known))
    _check("alarm_image", answers.alarm_image, np.int64, len(answers.alarm_image), 0, known.images)
    checked_weights(weights, known.images)
    alarms = np.bincount(answers.alarm_image, minlength=known.images)
    everyone = np.ones(len(known), dtype=np.bool_)
    totals, rates, e2e = _score(count_images(known, oracle, answers, everyone, alarms), weights)

    def group(name: str, counted: NDArray[np.bool_]) -> GroupScore:
        counts = count_images(known, oracle, answers, counted, np.zeros_like(alarms))
        part, of_part, _ = _score(counts, weights)
        return GroupScore(
            name, part, {key: value for key, value in of_part.items() if key != "false_alarms_per_picture"}
        )

    emotions = {name: known.labels == place for place, name in enumerate(EMOTIONS)}
    bins = in_bins(known.heights_px, SIZES_PX)
    sizes = {name: bins == name for name in SIZES_PX}
    return EndToEnd(
        totals,
        rates,
        tuple(group(name, counted) for name, counted in emotions.items() if counted.any()),
        tuple(group(name, counted) for name, counted in sizes.items() if counted.any()),
        np.bincount(answers.alarm_emotion, minlength=len(EMOTIONS)).astype(np.int64),
        e2e,
    )


def count_images(
    known: LabelledFaces,
    oracle: NDArray[np.int8],
    answers: Answers,
    counted: NDArray[np.bool_],
    alarms: NDArray[np.integer[Any]],
) -> NDArray[np.int64]:
    """Count what happened in each image: int64 (images, 9), columns as in `COUNTS`.

    Args:
        known: the labelled faces.
        oracle: int8 (n,).
        answers: what the detector's boxes gave.
        counted: bool (n,): the faces to count.
        alarms: integers (images,): false alarms of each image.
    """
    detected = answers.faces != MISSED
    right, oracle_right = answers.faces == known.labels, oracle == known.labels
    columns = (
        np.ones(len(known), dtype=np.bool_),
        detected,
        right,
        oracle_right,
        oracle_right & ~detected,
        oracle_right & detected & ~right,
        right & ~oracle_right,
    )
    per_image = [np.bincount(known.image[column & counted], minlength=known.images) for column in columns]
    return np.stack([np.ones(known.images), *per_image, alarms], axis=1).astype(np.int64)


def ratios_of(counts: NDArray[np.integer[Any]]) -> dict[str, Ratio]:
    """Return the rates of counts (images, 9), columns as in `COUNTS`, for any weights of the images; keys are `RATES`.

    >>> sums = ratios_of(np.array([[2, 10, 8, 5, 7, 1, 2, 1, 3]]))
    >>> sums["crop_loss"](np.array([[1]])).tolist()
    [0.1]
    """
    of = dict(zip(COUNTS, counts.T.astype(np.float64), strict=True))
    faces = of["faces"]
    return {
        "oracle_accuracy": Ratio(of["oracle_right"], faces),
        "detected_rate": Ratio(of["detected"], faces),
        "accuracy_when_detected": Ratio(of["right"], of["detected"]),
        "e2e_accuracy": Ratio(of["right"], faces),
        "miss_loss": Ratio(of["missed_right"], faces),
        "crop_loss": Ratio(of["crop_lost"] - of["crop_gained"], faces),
        "false_alarms_per_picture": Ratio(of["false_alarms"], of["pictures"]),
    }


def differences(scores: Mapping[str, EndToEnd]) -> dict[tuple[str, str], Difference]:
    """Return the difference in end-to-end accuracy of every pair, the earlier less the later, on the same draws.

    Raises:
        UsageError: where the numbers of draws differ.
    """
    names = list(scores)
    return {
        (one, other): paired_difference(scores[one].e2e, scores[other].e2e)
        for place, one in enumerate(names)
        for other in names[place + 1 :]
    }


def _score(
    counts: NDArray[np.int64], weights: NDArray[np.integer[Any]]
) -> tuple[Totals, dict[str, Interval], Resampled]:
    ratios = ratios_of(counts)
    drawn = dict(zip(ratios, resample_ratios(list(ratios.values()), weights), strict=True))
    rates = {name: interval(one) for name, one in drawn.items()}
    return Totals(*map(int, counts.sum(axis=0))), rates, drawn["e2e_accuracy"]


def _check(
    name: str, values: NDArray[Any], dtype: type[np.generic], n: int, least: int | None = None, below: int | None = None
) -> None:
    if values.dtype != dtype or values.shape != (n,):
        raise DataError(f"{name} must be {np.dtype(dtype)} ({n},), got {values.dtype} {values.shape}")
    if n and ((least is not None and values.min() < least) or (below is not None and values.max() >= below)):
        upper = "up" if below is None else str(below - 1)
        raise DataError(f"{name} must lie in {least} to {upper}, got {values.min()} to {values.max()}")
