"""Scores of weighted images: what a score would be if each image stood in the data set so many times.

This is what a bootstrap over images needs a thousand times, so everything that does not depend on the weights is done
once: a `Statistic` is built from a matching, then called with the weights of many draws. It gives exactly the value of
scoring a data set in which the images are really repeated; with all weights 1, the plain score. Here are rates;
average precision is in `average_precision` and `official`.

The weights of a thousand draws of many images are large, and floats made of all of them eight times as large. So
draws are worked through in blocks, of which only one is ever laid out as floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts

NUMBERS_PER_BLOCK = 1 << 22
"""Images times draws laid out together: 32 MB of floats. A thousand draws of 4,000 images are one block."""


class Statistic(Protocol):
    """A number that can be computed for any weights of the images."""

    @property
    def images(self) -> int:
        """How many images there are to weigh."""
        ...

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the value under each draw, float64 (draws,), for weights of (draws, images); nan where undefined."""
        ...

    @property
    def mass(self) -> NDArray[np.float64]:
        """What each image weighs in the number, such as its faces: float64 (images,)."""
        ...

    @property
    def limits(self) -> tuple[float, float]:
        """Between which ends the value lies whatever the images."""
        ...

    def influence(self) -> NDArray[np.float64]:
        """Return how the value moves when an image counts more, its derivative by the weight: float64 (images,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """A sum over images divided by another: recall, precision, false alarms per image, any mean.

    Attributes:
        part: float64 (images,): what each image adds to the numerator.
        whole: float64 (images,): what each image adds to the denominator; nan where it sums to 0.
    """

    part: NDArray[np.float64]
    whole: NDArray[np.float64]

    @property
    def images(self) -> int:
        """How many images there are to weigh."""
        return len(self.part)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the ratio under each draw: float64 (draws,)."""
        part, whole = weighted_sums(checked_weights(weights, self.images), self.part, self.whole)
        return ratio(part, whole)

    @property
    def mass(self) -> NDArray[np.float64]:
        """The denominator."""
        return self.whole

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1 for a share, -1 and 1 for one that can be negative, 0 and infinity for another rate."""
        lowest = 0.0 if bool((self.part >= 0).all()) else -1.0
        return lowest, 1.0 if bool((np.abs(self.part) <= self.whole).all()) else math.inf

    def influence(self) -> NDArray[np.float64]:
        """Return (part - ratio * whole) / sum of whole: float64 (images,)."""
        part, whole = float(self.part.sum()), float(self.whole.sum())
        if not whole > 0:
            return np.zeros(self.images)
        return (self.part - part / whole * self.whole) / whole


def operating_ratios(matches: Matches, counted: NDArray[np.bool_], score_threshold: float) -> Mapping[str, Ratio]:
    """Return the rates of `operating_point`, by their names there, for any weights of the images.

    The threshold is compared as it is: round it to the dtype of the detector's scores first, as `score` does.
    """
    judged = verdicts(matches, counted)
    accepted = matches.scores >= score_threshold

    def per_image(chosen: NDArray[np.bool_], values: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        kept = None if values is None else values[chosen]
        return np.bincount(matches.image[chosen], kept, matches.images).astype(np.float64)

    hits = per_image(judged.hit & accepted)
    false_alarms = per_image(judged.false_alarm & accepted)
    faces = faces_per_image(matches.face_offsets, counted).astype(np.float64)
    return {
        "precision": Ratio(hits, hits + false_alarms),
        "recall": Ratio(hits, faces),
        "f1": Ratio(2 * hits, hits + false_alarms + faces),
        "false_alarms_per_image": Ratio(false_alarms, np.ones(matches.images)),
        "mean_iou": Ratio(per_image(judged.hit & accepted, matches.plain_iou), hits),
    }


def faces_per_image(offsets: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many faces of each image count: int64 (images,)."""
    before = np.concatenate([[0], np.cumsum(counted, dtype=np.int64)])
    return np.asarray(np.diff(before[offsets]), dtype=np.int64)


def share_of_faces(offsets: NDArray[np.int64], chosen: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Ratio:
    """Return the share of the counted faces that are chosen; offsets as in `ImageBoxes`."""
    part, whole = (faces_per_image(offsets, mask).astype(np.float64) for mask in (chosen & counted, counted))
    return Ratio(part, whole)


def checked_weights(weights: NDArray[np.integer], images: int) -> NDArray[np.integer]:
    """Return the weights, or refuse any but whole numbers (draws, images)."""
    if weights.ndim != 2 or weights.shape[1] != images or not np.issubdtype(weights.dtype, np.integer):
        raise UsageError(f"weights must be whole numbers (draws, {images}), got {weights.dtype} {weights.shape}")
    return weights


def blocks_of_draws(weights: NDArray[np.number]) -> Iterator[slice]:
    """Yield slices of weights (draws, images), of as many draws as may be laid out together; of no draws one."""
    draws = max(1, NUMBERS_PER_BLOCK // max(weights.shape[1], 1))
    for start in range(0, max(len(weights), 1), draws):
        yield slice(start, min(start + draws, len(weights)))


def weighted_sums(weights: NDArray[np.number], *values: NDArray[np.number]) -> list[NDArray[np.float64]]:
    """Return `weights @ values` of each of the values, without laying all of the weights out as floats.

    Sums of whole numbers are exact, whatever the blocks. Others can differ in their last bit between sizes of a block.

    Args:
        weights: (draws, images).
        values: (images,) or (images, k) each.

    Returns:
        float64 (draws,) or (draws, k) each.
    """
    found = [np.empty((len(weights), *some.shape[1:])) for some in values]
    for some in blocks_of_draws(weights):
        rows: NDArray[np.float64] = weights[some].astype(np.float64)
        for sums, summands in zip(found, values, strict=True):
            sums[some] = rows @ summands
    return found


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return part / whole, nan where whole is not positive."""
    result: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return result
