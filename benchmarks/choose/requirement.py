"""What a pick can demand of a slice of the faces: `recall[share>=.2] >= .95`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError, did_you_mean
from ..analysis.table import Resampling
from ..resampling.bootstrap import Interval, interval, resample
from ..resampling.statistics import operating_ratios
from ..scoring.operating_point import as_scores
from ..scoring.slices import face_sizes
from ..store.records import StoredCell
from ..store.run_folder import RunFolder
from ..store.truth import RunReader

METRICS = ("recall", "precision")
ATTRIBUTES = ("share", "height")
_OPERATORS: Mapping[str, Callable[[Any, float], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_EXAMPLE = '"recall[share>=.2] >= .95"'
_SLICE = re.compile(r"\s*([A-Za-z_]\w*)\s*([<>]=?)\s*(\S+?)\s*")
_WHOLE = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\[([^\]]*)\])?\s*([<>]=?)\s*(\S+?)\s*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A rate that a detector must reach on some of the faces, at the score threshold at which it is handed over.

    As for every slice of faces, the others are ignored: found or not, they count nowhere. False alarms belong to no
    face and count in full.

    Attributes:
        metric: "recall" or "precision".
        attribute: "share" of the image's area that the box covers, 0 to 1, or "height" of the box in pixels; empty: all
            faces.
        compare: of the attribute with `limit`: ">=", "<=", ">" or "<".
        limit: of the attribute.
        least: what the metric must reach, 0 to 1.
        strict: whether it must be above `least`.
    """

    metric: str
    attribute: str
    compare: str
    limit: float
    least: float
    strict: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read METRIC[ATTRIBUTE OP NUMBER] OP NUMBER; the brackets may be left out, spaces do not count.

        Raises:
            UsageError: it is written otherwise, or a number is out of range.

        >>> str(Requirement.parse("recall [ share >= .2 ]>=.95"))
        'recall[share>=0.2] >= 0.95'
        """
        whole = _WHOLE.fullmatch(text)
        if whole is None:
            raise UsageError(
                f"cannot read the requirement {text!r}: expected METRIC[ATTRIBUTE OP NUMBER] OP NUMBER, such as "
                f"{_EXAMPLE}, with {' or '.join(METRICS)} and {' or '.join(ATTRIBUTES)}"
            )
        metric, inside, compare, number = whole.groups()
        if metric not in METRICS:
            raise UsageError(f"requirement {text!r}: unknown metric {metric!r}. {did_you_mean(metric, METRICS)}")
        if compare not in (">=", ">"):
            raise UsageError(f"requirement {text!r}: got {metric} {compare} {number}, expected >= or >")
        least = _number(number, text)
        if not 0 <= least <= 1:
            raise UsageError(f"requirement {text!r}: got a {metric} of {number}, expected 0 to 1, such as .95 for 95 %")
        if inside is None:
            return cls(metric, "", "", 0.0, least, compare == ">")
        part = _SLICE.fullmatch(inside)
        if part is None:
            raise UsageError(
                f"requirement {text!r}: got [{inside}], expected an attribute, one of {', '.join(_OPERATORS)}, and a "
                f"number, as in {_EXAMPLE}"
            )
        attribute, within, bound = part.groups()
        if attribute not in ATTRIBUTES:
            known = did_you_mean(attribute, ATTRIBUTES)
            raise UsageError(f"requirement {text!r}: unknown attribute {attribute!r}. {known}")
        limit = _number(bound, text)
        if attribute == "share" and not 0 <= limit <= 1:
            raise UsageError(f"requirement {text!r}: got a share of {bound}, expected 0 to 1, such as .2 for a fifth")
        return cls(metric, attribute, within, limit, least, compare == ">")

    def __str__(self) -> str:
        return f"{self.name} {self.demanded}"

    @property
    def demanded(self) -> str:
        """What the metric must reach."""
        return f"{'>' if self.strict else '>='} {self.least:g}"

    @property
    def name(self) -> str:
        """The metric and its faces, without the number that it must reach."""
        return f"{self.metric}[{self.attribute}{self.compare}{self.limit:g}]" if self.attribute else self.metric

    def faces(self, sizes: Mapping[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
        """Return which faces count, from `face_sizes`: bool (faces,)."""
        if not self.attribute:
            return np.ones(len(sizes["height"]), dtype=np.bool_)
        within: NDArray[np.bool_] = _OPERATORS[self.compare](sizes[self.attribute], self.limit)
        return within

    def met_by(self, value: float) -> bool:
        """Whether a value of the metric is enough; one that is not defined is not."""
        return value > self.least if self.strict else value >= self.least


@dataclass(frozen=True, slots=True)
class Judged:
    """A requirement, and what a candidate has of it.

    Attributes:
        requirement: what was asked for.
        value: of the metric, with its 95 % interval over resampled images. The value decides; the interval says how
            sure it is.
        faces: of the slice.
        threshold: score from which boxes count.
        dataset: that it was judged on.
    """

    requirement: Requirement
    value: Interval
    faces: int
    threshold: float
    dataset: str

    @property
    def met(self) -> bool:
        """Whether the value is enough."""
        return self.requirement.met_by(self.value.value)

    @property
    def sentence(self) -> str:
        """What there is and what is demanded, in words."""
        found = self.value
        ends = f" (95 %: {found.low:.3g} to {found.high:.3g})" if self._scatters else ""
        faces = f"{self.faces:,} face{'s' * (self.faces != 1)} of {self.dataset}"
        return (
            f"{self.requirement.name} is {found.value:.3g}{ends} on {faces} at threshold {self.threshold:.4g}, "
            f"demanded is {self.requirement.demanded}"
        )

    @property
    def _scatters(self) -> bool:
        """Whether the interval says anything: where all faces are found, every resample is as good."""
        return self.value.low < self.value.high

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        found = self.value
        return {
            "requirement": str(self.requirement),
            "value": None if math.isnan(found.value) else round(found.value, 4),
            "interval": [round(found.low, 4), round(found.high, 4)] if self._scatters else None,
            "dataset": self.dataset,
            "faces": self.faces,
            "threshold": self.threshold,
            "met": self.met,
        }


def judge(
    reader: RunReader,
    cell: StoredCell,
    threshold: float,
    requirements: Sequence[Requirement],
    resampling: Resampling,
) -> list[Judged]:
    """Say what a cell has of each requirement, over all faces of its run that are not ignored.

    Args:
        reader: of the run that the cell is of.
        cell: a finished one.
        threshold: score from which boxes count.
        requirements: to judge.
        resampling: for the intervals.

    Raises:
        UsageError: no face of the run is in the slice of a requirement.
        ResultsError: a table of the run is damaged.
    """
    run, truth, found = reader.run, reader.truth, reader.matched(cell)
    sizes = face_sizes(truth.faces, truth.image_sizes)
    counted = truth.masks["overall"]
    weights = resampling.weights(truth.image_ids)
    judged = []
    for one in requirements:
        part = counted & one.faces(sizes)
        if not part.any():
            raise UsageError(
                f"none of the {int(counted.sum()):,} faces of {run.path} is in {one.name}: the requirement cannot be "
                "judged there. Name a run of the same detectors that has such faces with --require-on"
            )
        ratio = operating_ratios(found.matches, part, as_scores(threshold, found.scores))[one.metric]
        value = interval(resample(ratio, weights))
        judged.append(Judged(one, value, int(part.sum()), threshold, run.document.dataset.name))
    return judged


def cell_like(run: RunFolder, cell: StoredCell, threshold: float) -> StoredCell | str:
    """Return the finished cell of a run with the same detector, size, device and threads, or say why there is none.

    Args:
        run: to look in.
        cell: of another run.
        threshold: down to which its detections are needed.
    """
    alike = [one for one in run.cells if one.but_threshold == cell.but_threshold]
    if not alike:
        return f"{run.path} has no cell of it with the same size, device and threads"
    done = [one for one in alike if one.done]
    if not done:
        return f"{alike[0].status} in {run.path}"
    floor = done[0].score_floor
    if np.float32(floor) > np.float32(threshold):
        return f"{run.path} keeps its boxes from a score of {floor:.4g} on, not {threshold:.4g}"
    return done[0]


def _number(text: str, requirement: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"requirement {requirement!r}: got {text!r}, expected a number")
    return value
