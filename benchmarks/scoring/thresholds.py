"""The score threshold for a wanted precision or false-alarm rate, chosen on one half of the images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .counting import count
from .matching import Matches
from .operating_point import OperatingPoint, operating_point
from .sweep import sweep
from .verdicts import first_half, select_images

Rate = Literal["precision", "false_alarms_per_image"]


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """A threshold, what it was chosen for, and what it gives on images that had no say in the choice.

    Attributes:
        rate: what was asked for.
        wanted: the value asked for: precision at least, or false alarms per image at most.
        score_threshold: the lowest score of the choosing half at which the wanted rate holds there; nan if none.
        best_on_choosing_half: the best value of the rate at any threshold that accepts a hit there; nan without hits.
        chosen_on: the choosing half at the threshold; None where no threshold does.
        reported_on: the other half at the threshold; None where no threshold does.
        choosing_images: size of the choosing half.
        reporting_images: size of the other half.
        at_floor: the lowest score returned already meets the target, so a lower one might too.
    """

    rate: Rate
    wanted: float
    score_threshold: float
    best_on_choosing_half: float
    chosen_on: OperatingPoint | None
    reported_on: OperatingPoint | None
    choosing_images: int
    reporting_images: int
    at_floor: bool

    @property
    def reached(self) -> bool:
        """Whether there is a threshold with the wanted rate on the choosing half."""
        return self.chosen_on is not None

    @property
    def got(self) -> float:
        """The rate on the half that had no say; nan where no threshold was chosen or the rate is undefined."""
        if self.reported_on is None:
            return math.nan
        return self.reported_on.precision if self.rate == "precision" else self.reported_on.false_alarms_per_image

    @property
    def statement(self) -> str:
        """One sentence for a report."""
        name = self.rate.replace("_", " ")
        target = f"{name} of at {'least' if self.rate == 'precision' else 'most'} {self.wanted:.3g}"
        halves = f"chosen on {self.choosing_images} images, reported on {self.reporting_images} others"
        if self.reported_on is None:
            best = "no face was hit" if math.isnan(self.best_on_choosing_half) else self._best
            return f"{target} is out of reach on the {self.choosing_images} images it was sought on: {best}"
        floor = "; the lowest score returned already does" if self.at_floor else ""
        return (
            f"aimed at {target}: threshold {self.score_threshold:.4g} gives {self.got:.3g} at recall "
            f"{self.reported_on.recall:.3g} ({halves}{floor})"
        )

    @property
    def _best(self) -> str:
        return f"the best at any threshold is {self.best_on_choosing_half:.3g}"


def choose_threshold(
    matches: Matches,
    counted: NDArray[np.bool_],
    *,
    precision: float | None = None,
    false_alarms_per_image: float | None = None,
    seed: int = 0,
) -> ThresholdChoice:
    """Choose the lowest threshold, hence the highest recall, with a wanted rate on half of the images.

    A threshold fitted to the images it is reported on flatters itself; here the other half reports. A threshold that
    accepts no hit is not a choice: rejecting everything would meet any false-alarm rate.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        precision: wanted at least, in (0, 1].
        false_alarms_per_image: wanted at most, 0 or more. Give this one or `precision`.
        seed: of the split; the same seed splits as many images the same way in any process.

    Raises:
        UsageError: unless exactly one rate is wanted, and within its range.
    """
    rate, wanted = _target(precision, false_alarms_per_image)
    half = first_half(matches.images, seed)
    choosing, reporting = (count(*select_images(matches, counted, part)) for part in (half, ~half))
    curve = sweep(choosing)
    useful = curve.hits > 0
    values = curve.precision if rate == "precision" else curve.false_alarms_per_image
    meets = np.flatnonzero(useful & ((values >= wanted) if rate == "precision" else (values <= wanted)))
    best = math.nan
    if useful.any():
        best = float(values[useful].max() if rate == "precision" else values[useful].min())
    threshold = float(curve.thresholds[meets[-1]]) if len(meets) else math.nan
    chosen_on, reported_on = (
        operating_point(counts, threshold) if len(meets) else None for counts in (choosing, reporting)
    )
    return ThresholdChoice(
        rate=rate,
        wanted=wanted,
        score_threshold=threshold,
        best_on_choosing_half=best,
        chosen_on=chosen_on,
        reported_on=reported_on,
        choosing_images=int(half.sum()),
        reporting_images=int((~half).sum()),
        at_floor=len(meets) > 0 and int(meets[-1]) == len(curve) - 1,
    )


def _target(precision: float | None, false_alarms_per_image: float | None) -> tuple[Rate, float]:
    if precision is not None and false_alarms_per_image is None:
        if not 0 < precision <= 1:
            raise UsageError(f"precision must be above 0 and at most 1, got {precision}")
        return "precision", precision
    if false_alarms_per_image is not None and precision is None:
        if not 0 <= false_alarms_per_image < math.inf:
            raise UsageError(f"false_alarms_per_image must be 0 or more, got {false_alarms_per_image}")
        return "false_alarms_per_image", false_alarms_per_image
    raise UsageError("give exactly one of precision and false_alarms_per_image")
