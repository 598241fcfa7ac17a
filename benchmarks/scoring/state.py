"""Parts of a data set, matched on different machines or at different times, and merged before they are scored.

Matching happens within a picture and costs most; ranking needs the scores of all pictures. So a part is matched where
its detections are, becomes a few plain arrays, and the merged arrays are scored: the numbers are those of scoring
everything at once, however the pictures were divided and in whatever order the parts arrive.

part = ScoringState.of_part(…); np.savez(file, **part.to_arrays()); merge([ScoringState.from_arrays(np.load(file)), …])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ...errors import ResultsError, SchemaVersionError, UsageError
from .coco import COCO_THRESHOLDS, CocoScore, coco_average_precision, coco_overlaps, coco_verdicts
from .front import Scores, score_matches
from .matching import Matches, PictureBoxes, match

SCHEMA_VERSION = 1
_DTYPES = {
    "pictures": "U", "faces": "i", "detections": "i", "lists": "U", "counted": "b", "ignore": "b",
    "scores": "f", "best_face": "i", "iou": "f", "plain_iou": "f", "coco": "i",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class ScoringState:
    """The matched detections of some pictures, in order of their names.

    Attributes:
        pictures: str (p,): image_ids, rising.
        faces: int64 (p,): annotated faces of each.
        detections: int64 (p,): detections of each.
        lists: str (l,): names of the lists.
        counted: bool (l, faces): the faces that count for each list.
        ignore: bool (faces,): faces left out of the score over all.
        scores: float (n,), in the dtype given, pictures in order, highest first within a picture.
        best_face: int32 (n,): best face, counted within its picture; -1 where none overlaps.
        iou: float64 (n,): see `Matches`.
        plain_iou: float64 (n,): see `Matches`.
        coco: int8 (l + 1, thresholds, n): verdicts of `coco_verdicts` for all faces not ignored, then for each list.
    """

    pictures: NDArray[np.str_]
    faces: NDArray[np.int64]
    detections: NDArray[np.int64]
    lists: NDArray[np.str_]
    counted: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    scores: NDArray[np.floating]
    best_face: NDArray[np.int32]
    iou: NDArray[np.float64]
    plain_iou: NDArray[np.float64]
    coco: NDArray[np.int8]

    @classmethod
    def of_part(
        cls,
        image_ids: Sequence[str],
        faces: PictureBoxes,
        detections: PictureBoxes,
        scores: NDArray[np.floating],
        *,
        ignore: NDArray[np.bool_] | None = None,
        lists: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> ScoringState:
        """Match the detections of some pictures; the arguments are those of `score`, and a name for each picture.

        Raises:
            UsageError: on arrays that do not fit each other, a name that stands twice, scores that are not finite.
        """
        if len(image_ids) != faces.pictures or len(set(image_ids)) != len(image_ids):
            raise UsageError(f"expected {faces.pictures} different names of pictures, got {len(set(image_ids))}")
        values = np.asarray(scores)
        if not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64)
        masks = dict(lists or {})
        everything = np.zeros(len(faces), dtype=np.bool_) if ignore is None else ignore
        matches = match(faces, detections, values)
        overlaps = coco_overlaps(faces, detections, values)
        # Both orders are the same: by score, then as given. Within a picture that is the order to keep.
        by_picture = np.argsort(matches.picture, kind="stable")
        best = matches.best_face - faces.offsets[matches.picture]
        coco = [coco_verdicts(overlaps, mask)[:, by_picture] for mask in (~everything, *masks.values())]
        return cls(
            pictures=np.array(image_ids, dtype=np.str_),
            faces=np.diff(faces.offsets),
            detections=np.diff(detections.offsets),
            lists=np.array(list(masks), dtype=np.str_),
            counted=np.array(list(masks.values()), dtype=np.bool_).reshape(len(masks), len(faces)),
            ignore=everything.copy(),
            scores=values[matches.detection[by_picture]],
            best_face=np.where(matches.best_face < 0, -1, best)[by_picture].astype(np.int32),
            iou=matches.iou[by_picture],
            plain_iou=matches.plain_iou[by_picture],
            coco=np.stack(coco),
        )._in_order_of_names()

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return plain arrays by name, for `numpy.savez`; nothing in them needs pickling."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"schema_version": np.array(SCHEMA_VERSION), **arrays}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> ScoringState:
        """Rebuild a state from `to_arrays`.

        Raises:
            SchemaVersionError: the arrays were made by another version of the format.
            ResultsError: arrays are missing, or do not fit each other.
        """
        version = int(np.asarray(arrays["schema_version"]).item()) if "schema_version" in arrays else None
        if version != SCHEMA_VERSION:
            raise SchemaVersionError(f"a scoring state of version {version}, expected {SCHEMA_VERSION}; score anew")
        missing = [name for name in _DTYPES if name not in arrays]
        if missing:
            raise ResultsError(f"a scoring state without {', '.join(missing)}; score this part anew")
        state = cls(**{name: np.asarray(arrays[name]) for name in _DTYPES})
        state._check()
        return state

    def score(self, score_threshold: float, *, count_empty_pictures: bool = True) -> Scores:
        """Return what `score` returns for all these pictures together."""
        threshold = float(self.scores.dtype.type(score_threshold))
        masks = dict(zip(self.lists.tolist(), self.counted, strict=True))
        matches = self.matches()
        return score_matches(matches, ~self.ignore, masks, threshold, count_empty_pictures=count_empty_pictures)

    def coco_scores(self) -> dict[str, CocoScore]:
        """Return what `coco_score` returns: "overall" for all faces not ignored, then each list by its name."""
        order = np.argsort(-self.scores.astype(np.float64), kind="stable")
        names = ["overall", *self.lists.tolist()]
        result = {}
        for name, mask, rows in zip(names, [~self.ignore, *self.counted], self.coco, strict=True):
            faces = int(np.count_nonzero(mask))
            values = tuple(coco_average_precision(row[order], faces) for row in rows)
            result[name] = CocoScore.from_values(values)
        return result

    def matches(self) -> Matches:
        """Return what `match` returns for all these pictures together; `detection` counts the rows of this state."""
        values = self.scores.astype(np.float64)
        order = np.argsort(-values, kind="stable")
        offsets = _offsets(self.faces)
        picture = np.repeat(np.arange(len(self.pictures), dtype=np.int64), self.detections)
        best_face = np.where(self.best_face < 0, -1, self.best_face + offsets[picture])
        return Matches(
            scores=values[order],
            picture=picture[order],
            best_face=best_face[order],
            iou=self.iou[order],
            plain_iou=self.plain_iou[order],
            detection=order,
            face_offsets=offsets,
        )

    def _in_order_of_names(self) -> ScoringState:
        """Order the pictures by name, so that equal scores rank the same however the parts were made."""
        order = np.argsort(self.pictures, kind="stable")
        face, row = _rows(self.faces, order), _rows(self.detections, order)
        return ScoringState(
            pictures=self.pictures[order],
            faces=self.faces[order],
            detections=self.detections[order],
            lists=self.lists,
            counted=self.counted[:, face],
            ignore=self.ignore[face],
            scores=self.scores[row],
            best_face=self.best_face[row],
            iou=self.iou[row],
            plain_iou=self.plain_iou[row],
            coco=self.coco[:, :, row],
        )

    def _check(self) -> None:
        pictures, lists = self.pictures.size, self.lists.size
        for name, kind in _DTYPES.items():
            if getattr(self, name).dtype.kind != kind:
                raise ResultsError(f"a scoring state with {name} of {getattr(self, name).dtype}; score this part anew")
        faces, rows = int(self.faces.sum()), int(self.detections.sum())
        shapes = {
            "pictures": (pictures,), "faces": (pictures,), "detections": (pictures,), "lists": (lists,),
            "counted": (lists, faces), "ignore": (faces,), "scores": (rows,), "best_face": (rows,), "iou": (rows,),
            "plain_iou": (rows,), "coco": (lists + 1, len(COCO_THRESHOLDS), rows),
        }  # fmt: skip
        wrong = [name for name, shape in shapes.items() if getattr(self, name).shape != shape]
        if not wrong and bool((self.best_face >= np.repeat(self.faces, self.detections)).any()):
            wrong = ["best_face"]
        if wrong:
            raise ResultsError(f"a scoring state whose {', '.join(wrong)} do not fit the rest; score this part anew")


def merge(parts: Iterable[ScoringState]) -> ScoringState:
    """Put parts together into the state of all their pictures, in any order.

    Raises:
        UsageError: on no parts, a picture that is in two of them, different lists, or scores of different dtypes.
    """
    states = list(parts)
    if not states:
        raise UsageError("expected at least one part to merge")
    first = states[0]
    for state in states[1:]:
        if state.lists.tolist() != first.lists.tolist():
            raise UsageError(f"parts with the lists {first.lists.tolist()} and {state.lists.tolist()} cannot be merged")
        if state.scores.dtype != first.scores.dtype:
            raise UsageError(f"parts with scores of {first.scores.dtype} and {state.scores.dtype} cannot be merged")
    names, times = np.unique(np.concatenate([state.pictures for state in states]), return_counts=True)
    if (times > 1).any():
        raise UsageError(f"picture {names[times > 1][0]} is in more than one part")

    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(state, name) for state in states], axis=-1)

    merged = {field.name: joined(field.name) for field in fields(ScoringState) if field.name != "lists"}
    return ScoringState(lists=first.lists, **merged)._in_order_of_names()  # type: ignore[arg-type]


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _rows(counts: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of all pictures, counts[i] each, with the pictures in another order."""
    sizes = counts[order]
    shift = _offsets(counts)[order] - _offsets(sizes)[:-1]
    return np.repeat(shift, sizes) + np.arange(int(sizes.sum()))
