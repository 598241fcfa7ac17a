"""One detector on every part of the data set: kinds of faces and of images, events, perceived groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...datasets.sets.demographics import LABELS as PERCEIVED
from ..resampling.average_precision import ExactAP
from ..resampling.bootstrap import Gap, Interval, gap, interval, resample
from ..resampling.statistics import share_of_faces
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
        return [*map(self._of_slice, standard), *self._of_events(), *map(self._of_slice, perceived)]

    def gaps(self) -> dict[str, Gap]:
        """Return the gap in recall between the best and the worst group of each perceived label with two or more."""
        found = {}
        for label, parts in self._perceived.items():
            recalls = {part.name: share_of_faces(self._matches.face_offsets, self._found, part.faces) for part in parts}
            between = gap({name: resample(recall, self._weights) for name, recall in recalls.items()})
            if between is not None:
                found[label] = between
        return found

    def _of_slice(self, part: Slice) -> SliceScore:
        inside = np.repeat(part.images, np.diff(self._matches.face_offsets))
        weights = slice_weights(part, self._weights)
        return self._scored(part.group, part.name, *slice_matches(self._matches, part), inside, weights)

    def _of_events(self) -> Iterator[SliceScore]:
        events = [event_of(name) for name in self._truth.image_ids]
        if any(events):
            for name, part in event_parts(self._matches, self._counted, events):
                weights = np.ascontiguousarray(self._weights[:, part.images])
                yield self._scored("event", name, part.matches, part.counted, part.faces, weights)

    def _scored(
        self,
        group: str,
        name: str,
        matches: Matches,
        counted: NDArray[np.bool_],
        inside: NDArray[np.bool_] | NDArray[np.int64],
        weights: NDArray[np.integer],
    ) -> SliceScore:
        """Score a slice; `inside` says which faces of all are those of `matches`."""
        recall = share_of_faces(matches.face_offsets, self._found[inside], counted)
        return SliceScore(
            group=group,
            name=name,
            faces=int(np.count_nonzero(counted)),
            images=int(np.count_nonzero(recall.whole)),
            exact=interval(resample(ExactAP(matches, counted), weights)),
            recall=interval(resample(recall, weights)),
        )
