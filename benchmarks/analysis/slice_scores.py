"""One detector on every part of the data set: kinds of faces and of images, events, perceived groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...datasets.sets.demographics import LABELS as PERCEIVED
from ..resampling.average_precision import ExactAP
from ..resampling.bootstrap import Interval, Resampled, interval, resample, resample_ratios
from ..resampling.ranking import Gap, gap, gap_by_chance
from ..resampling.statistics import Ratio, share_of_faces
from ..scoring.matching import Matches
from ..scoring.slices import LABELS, Slice, event_parts, label_slices, slice_matches, slice_weights, standard_slices
from ..store.truth import Truth
from .table import event_of


@dataclass(frozen=True, slots=True)
class SliceScore:
    """One detector on one slice.

    Attributes:
        group: such as "height in px".
        name: such as "16–32".
        faces: that count.
        images: that hold one of these faces. Of one image every draw is the same: no width, and no meaning.
        exact: exact AP.
        recall: at the operating threshold.
    """

    group: str
    name: str
    faces: int
    images: int
    exact: Interval
    recall: Interval


class SliceScorer:
    """Scores one detector on slices; which box hits a face does not depend on them.

    Args:
        truth: of the run.
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        unfound: bool (faces,): those of them that are not found at the operating threshold.
        weights: int (draws, images).
    """

    def __init__(
        self,
        truth: Truth,
        matches: Matches,
        counted: NDArray[np.bool_],
        unfound: NDArray[np.bool_],
        weights: NDArray[np.integer],
    ) -> None:
        self._truth, self._matches, self._counted, self._weights = truth, matches, counted, weights
        self._found = ~unfound
        self._perceived = {
            name: label_slices(truth.faces, counted, name, truth.labels(column), values)
            for column, values in PERCEIVED.items()
            if column in truth.table
            for name in [column.replace("_", " ")]
        }

    def scores(self) -> list[SliceScore]:
        """Return the scores in the order of `standard_slices`, then events, then perceived groups."""
        truth = self._truth
        attributes = {name: truth.labels(name) for name in LABELS if name in truth.table}
        standard = standard_slices(truth.faces, self._counted, truth.image_sizes, attributes=attributes)
        perceived = [part for parts in self._perceived.values() for part in parts]
        return [*self._of_slices(standard), *self._of_events(), *self._of_slices(perceived)]

    def gaps(self) -> dict[str, Gap]:
        """Return the gap in recall between the best and the worst group of each perceived label with two or more."""
        found = {}
        for label, parts in self._perceived.items():
            recalls = [share_of_faces(self._matches.face_offsets, self._found, part.faces) for part in parts]
            group = np.select([part.faces for part in parts], range(len(parts)), -1)
            labelled = group >= 0
            drawn = dict(zip([part.name for part in parts], resample_ratios(recalls, self._weights), strict=True))
            between = gap(drawn, gap_by_chance(self._found[labelled], group[labelled]))
            if between is not None:
                found[label] = between
        return found

    def _of_slices(self, parts: Sequence[Slice]) -> Iterator[SliceScore]:
        recalls = [share_of_faces(self._matches.face_offsets, self._found, part.faces) for part in parts]
        drawn = resample_ratios(recalls, self._weights)
        for part, recall, of_draws in zip(parts, recalls, drawn, strict=True):
            exact = ExactAP(*slice_matches(self._matches, part))
            weights = slice_weights(part, self._weights)
            yield _score(part.group, part.name, recall, of_draws, resample(exact, weights))

    def _of_events(self) -> Iterator[SliceScore]:
        events = [event_of(name) for name in self._truth.image_ids]
        if any(events):
            for name, part in event_parts(self._matches, self._counted, events):
                weights = np.ascontiguousarray(self._weights[:, part.images])
                recall = share_of_faces(part.matches.face_offsets, self._found[part.faces], part.counted)
                exact = ExactAP(part.matches, part.counted)
                yield _score("event", name, recall, resample(recall, weights), resample(exact, weights))


def _score(group: str, name: str, recall: Ratio, of_draws: Resampled, exact: Resampled) -> SliceScore:
    faces, images = int(recall.whole.sum()), int(np.count_nonzero(recall.whole))
    return SliceScore(group, name, faces, images, interval(exact), interval(of_draws))
