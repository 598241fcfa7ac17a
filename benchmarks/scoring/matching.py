"""Which annotated face each detection lands on, for all images at once.

Boxes are x1, y1, x2, y2 in pixels. One matching serves every evaluation list: the best face is looked for among *all*
faces of an image, and only afterwards does a list say which of them count (`boxoverlap.m` and `evaluation.m` of the
WIDER FACE eval_tools).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError

_DETECTIONS_PER_BLOCK = 1 << 14
_PAIRS_PER_BLOCK = 1 << 15
"""Detections, and pairs of one with a face, looked at together: bounds the memory and keeps a block in the cache."""
_COLUMNS = 128
"""Columns of the grid over the faces of one image, by their left edges."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageBoxes:
    """The boxes of many images, laid end to end.

    Attributes:
        boxes: float64 (n, 4): x1, y1, x2, y2 in pixels, finite; copied where rows are not contiguous in memory. Sizes
            may be zero or negative, as those of 11 faces of WIDER FACE val are: annotation is scored as it stands.
        offsets: int64 (images + 1,): image i owns the rows offsets[i] to offsets[i + 1].
        crowd: bool (n,): regions that hold faces nobody annotated one by one, such as COCO's `iscrowd`; None where
            there are none, as among detections. They are never to be found.

    Raises:
        UsageError: on a wrong dtype or shape, offsets that do not cover the rows, a box that is not finite.
    """

    boxes: NDArray[np.float64]
    offsets: NDArray[np.int64]
    crowd: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        boxes, offsets, crowd = self.boxes, self.offsets, self.crowd
        if boxes.dtype != np.float64 or boxes.ndim != 2 or boxes.shape[1] != 4:
            raise UsageError(
                f"boxes must be float64 (n, 4), got {boxes.dtype} {boxes.shape}; use from_images to convert"
            )
        if offsets.dtype != np.int64 or offsets.ndim != 1 or len(offsets) == 0:
            raise UsageError(f"offsets must be int64 (images + 1,), got {offsets.dtype} {offsets.shape}")
        if offsets[0] != 0 or offsets[-1] != len(boxes) or bool((np.diff(offsets) < 0).any()):
            raise UsageError(f"offsets must rise from 0 to the number of boxes, {len(boxes)}")
        if crowd is not None and (crowd.dtype != np.bool_ or crowd.shape != (len(boxes),)):
            raise UsageError(f"crowd must be bool ({len(boxes)},), one a box, got {crowd.dtype} {crowd.shape}")
        if not np.isfinite(boxes).all():
            row = int(np.argmin(np.isfinite(boxes).all(axis=1)))
            image = int(np.searchsorted(offsets, row, side="right")) - 1
            raise UsageError(f"boxes must be finite, got {boxes[row].tolist()} in image {image}")
        object.__setattr__(self, "boxes", np.ascontiguousarray(boxes))

    @classmethod
    def from_images(cls, images: Sequence[ArrayLike]) -> ImageBoxes:
        """Lay the boxes of each image, (n_i, 4) of any numeric dtype, end to end.

        >>> ImageBoxes.from_images([[[0, 0, 2, 2]], [], [[1, 1, 5, 5], [0, 0, 1, 1]]]).offsets.tolist()
        [0, 1, 1, 3]
        """
        arrays = [np.asarray(boxes, dtype=np.float64) for boxes in images]
        for image, array in enumerate(arrays):
            if array.size and (array.ndim != 2 or array.shape[1] != 4):
                raise UsageError(f"boxes of an image must be (n, 4), got {array.shape} for image {image}")
        counts = [array.size // 4 for array in arrays]
        stacked = np.concatenate([np.empty((0, 4)), *(array.reshape(-1, 4) for array in arrays)])
        return cls(stacked, np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64))

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.offsets) - 1

    @property
    def image(self) -> NDArray[np.int64]:
        """The image of each box: int64 (n,)."""
        return np.repeat(np.arange(self.images, dtype=np.int64), np.diff(self.offsets))

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Every detection with the face it overlaps most, in one global order: highest score first.

    Equal scores keep the order in which they were given, so the detections of one image stand in the order that the
    WIDER FACE protocol asks for. Arrays are read-only.

    Attributes:
        scores: float64 (n,), never rising.
        image: int64 (n,): the image of each detection.
        best_face: int64 (n,): row of the face with the highest IoU, the first of equals; -1 where no face overlaps. A
            crowd region is no face.
        iou: float64 (n,): IoU with that face, boxes counted as (x2 - x1 + 1) wide and high; 0 where none overlaps.
        plain_iou: float64 (n,): IoU with that same face, boxes counted as (x2 - x1) wide and high.
        detection: int64 (n,): row of each detection in the arrays given to `match`.
        face_offsets: int64 (images + 1,): the faces of image i are the rows face_offsets[i] to face_offsets[i + 1].
        in_crowd: float64 (n,): share of the detection's own area in the crowd region that covers most of it, boxes
            counted as for `iou`; None where there are no such regions.
    """

    scores: NDArray[np.float64]
    image: NDArray[np.int64]
    best_face: NDArray[np.int64]
    iou: NDArray[np.float64]
    plain_iou: NDArray[np.float64]
    detection: NDArray[np.int64]
    face_offsets: NDArray[np.int64]
    in_crowd: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) is not None:
                getattr(self, name).setflags(write=False)

    @property
    def faces(self) -> int:
        """The number of annotated faces of all images, crowd regions included."""
        return int(self.face_offsets[-1])

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.face_offsets) - 1

    def __len__(self) -> int:
        return len(self.scores)


def iou(a: NDArray[np.float64], b: NDArray[np.float64], *, plus_one: bool) -> NDArray[np.float64]:
    """Return intersection over union of boxes (..., 4) and (..., 4), broadcast against each other.

    Args:
        a: x1, y1, x2, y2 in pixels.
        b: the same.
        plus_one: count a box as (x2 - x1 + 1) wide and high, x2 and y2 being its last pixels, as `boxoverlap.m` of the
            WIDER FACE eval_tools does; otherwise as (x2 - x1). Without it boxes of no area have IoU 0, never 0 / 0.

    >>> iou(np.array([0.0, 0, 3, 3]), np.array([0.0, 0, 3, 1]), plus_one=True).item()
    0.5
    """
    intersection = _intersection(a, b, plus_one)
    return _share(intersection, _area(a, plus_one) + _area(b, plus_one) - intersection)


def _intersection(a: NDArray[np.float64], b: NDArray[np.float64], plus_one: bool) -> NDArray[np.float64]:
    one = 1.0 if plus_one else 0.0
    ax1, ay1, ax2, ay2 = np.moveaxis(a, -1, 0)
    bx1, by1, bx2, by2 = np.moveaxis(b, -1, 0)
    width = np.maximum(np.minimum(ax2, bx2) - np.maximum(ax1, bx1) + one, 0.0)
    found: NDArray[np.float64] = width * np.maximum(np.minimum(ay2, by2) - np.maximum(ay1, by1) + one, 0.0)
    return found


def _area(boxes: NDArray[np.float64], plus_one: bool) -> NDArray[np.float64]:
    one = 1.0 if plus_one else 0.0
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    area: NDArray[np.float64] = (x2 - x1 + one) * (y2 - y1 + one)
    return area


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)
    return ratio


def iou_matrix(a: NDArray[np.float64], b: NDArray[np.float64], *, plus_one: bool) -> NDArray[np.float64]:
    """Return the IoU of each box of `a` (n, 4) with each of `b` (m, 4): float64 (n, m). See `iou`.

    The matrix is dense; for many images use `match`.
    """
    return iou(a[:, None, :], b[None, :, :], plus_one=plus_one)


def match(faces: ImageBoxes, detections: ImageBoxes, scores: ArrayLike) -> Matches:
    """Find the best face of every detection.

    Args:
        faces: all annotated faces, ignored ones and crowd regions included.
        detections: the boxes found in the same images, in the same order of images; within an image in any order.
        scores: (n,) one finite number a detection, higher is surer.

    Raises:
        UsageError: where the numbers of images differ, or scores are not n finite numbers.

    >>> faces = ImageBoxes.from_images([[[0, 0, 9, 9], [20, 0, 29, 9]]])
    >>> found = ImageBoxes.from_images([[[21, 0, 29, 9], [50, 50, 59, 59]]])
    >>> matches = match(faces, found, [0.3, 0.8])
    >>> matches.best_face.tolist(), matches.iou.round(2).tolist()
    ([-1, 1], [0.0, 0.9])
    """
    values = checked_scores(faces, detections, scores)
    best_face, best_iou, in_crowd = _best_faces(faces, detections)
    order = falling_order(values)
    best_face, best_iou = best_face[order], best_iou[order]
    plain_iou = np.zeros(len(order))
    landed = np.flatnonzero(best_face >= 0)
    plain_iou[landed] = _iou_of_rows(detections, order[landed], faces, best_face[landed], plus_one=False)
    return Matches(
        scores=values[order],
        image=detections.image[order],
        best_face=best_face,
        iou=best_iou,
        plain_iou=plain_iou,
        detection=order,
        face_offsets=faces.offsets.copy(),
        in_crowd=None if in_crowd is None else in_crowd[order],
    )


def checked_scores(faces: ImageBoxes, detections: ImageBoxes, scores: ArrayLike) -> NDArray[np.float64]:
    """Return the scores as float64 (n,), or refuse what does not fit together; see `match`."""
    if faces.images != detections.images:
        raise UsageError(
            f"got faces of {faces.images} images and detections of {detections.images}; "
            "give an empty array for an image in which nothing was found"
        )
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(detections),):
        raise UsageError(
            f"expected a score for each of {len(detections)} detections, got scores of shape {values.shape}"
        )
    if not np.isfinite(values).all():
        raise UsageError(f"scores must be finite, got {values[~np.isfinite(values)][0]}")
    return values


def falling_order(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows by falling score, equal scores in the order given: int64 (n,).

    NumPy's quick sort takes a third of the time of its stable one, and few scores are equal.
    """
    order = np.argsort(-scores)
    equal = np.diff(scores[order]) == 0
    tied = np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False))
    if len(tied):
        rows = np.sort(order[tied])
        order[tied] = rows[np.argsort(-scores[rows], kind="stable")]
    return np.asarray(order, dtype=np.int64)


def _iou_of_rows(
    a: ImageBoxes, a_rows: NDArray[np.int64], b: ImageBoxes, b_rows: NDArray[np.int64], *, plus_one: bool
) -> NDArray[np.float64]:
    """Return the IoU of some boxes with others, one by one: float64 (n,). See `iou`."""
    # take copies whole rows five times as fast as an index does
    return iou(a.boxes.take(a_rows, axis=0), b.boxes.take(b_rows, axis=0), plus_one=plus_one)


def _best_faces(
    faces: ImageBoxes, detections: ImageBoxes
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the first face of highest IoU (-1: none overlaps), that IoU and `Matches.in_crowd`, in the order given."""
    best_face = np.full(len(detections), -1, dtype=np.int64)
    best_iou = np.zeros(len(detections))
    in_crowd = None if faces.crowd is None else np.zeros(len(detections))
    for pairs in overlapping_pairs(faces, detections, plus_one=True):
        detection, face, overlap = pairs
        if faces.crowd is not None and in_crowd is not None:
            of_crowd = faces.crowd[face]
            np.maximum.at(in_crowd, detection[of_crowd], overlap[of_crowd])
            detection, face, overlap = detection[~of_crowd], face[~of_crowd], overlap[~of_crowd]
        if len(overlap) == 0:
            continue
        starts = np.flatnonzero(np.diff(detection, prepend=-1))
        highest = np.maximum.reduceat(overlap, starts)
        is_highest = overlap == np.repeat(highest, np.diff(starts, append=len(overlap)))
        found = detection[starts]
        best_iou[found] = highest
        best_face[found] = np.minimum.reduceat(np.where(is_highest, face, len(faces)), starts)
    return best_face, best_iou, in_crowd


def overlapping_pairs(
    faces: ImageBoxes, detections: ImageBoxes, *, plus_one: bool, lowest: float = 0.0
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Yield rows of detections and faces of one image, and their overlap where it is at least `lowest` and above 0.

    The overlap is IoU, and with a crowd region the intersection over the detection's own area (`bbIou` in `maskApi.c`
    of pycocotools). Detections come in order, and all pairs of one in the same block.

    Args:
        faces: all annotated faces.
        detections: in the same images.
        plus_one: see `iou`.
        lowest: from 0 to 1.
    """
    for detection, face in pairs_nearby(faces, detections, lowest=lowest):
        overlap = _iou_of_rows(detections, detection, faces, face, plus_one=plus_one)
        if faces.crowd is not None:
            of_crowd = np.flatnonzero(faces.crowd[face])
            found, regions = detections.boxes[detection[of_crowd]], faces.boxes[face[of_crowd]]
            overlap[of_crowd] = _share(_intersection(found, regions, plus_one), _area(found, plus_one))
        enough = np.flatnonzero((overlap >= lowest) & (overlap > 0))
        yield detection[enough], face[enough], overlap[enough]


def pairs_nearby(
    faces: ImageBoxes, detections: ImageBoxes, *, lowest: float = 0.0
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (detection, face) row pairs of the same image, without most pairs whose overlap is 0 or below `lowest`.

    Faces are sorted by left edge into the columns of a grid, so those that can reach a detection stand side by side:
    from the column of its left edge less the widest face of the image to the column of its right edge. On WIDER FACE
    val this leaves 1.9 of 29 million pairs, before those apart in height go too. Where an IoU is asked for, a face
    must reach over that share of the detection, from either side, and is at most so many times as wide, unless there
    are crowd regions. Detections come in order, and all pairs of one in the same block.
    """
    if len(faces) == 0:
        return
    face_left, face_top, face_right, face_bottom = np.ascontiguousarray(faces.boxes.T)
    of_face = faces.image
    leftmost, widest, span = np.zeros(faces.images), np.zeros(faces.images), np.zeros(faces.images)
    with_face = np.flatnonzero(np.diff(faces.offsets))
    starts = faces.offsets[with_face]
    leftmost[with_face] = np.minimum.reduceat(face_left, starts)
    widest[with_face] = np.maximum(np.maximum.reduceat(face_right - face_left, starts), 0.0)
    span[with_face] = np.maximum.reduceat(face_left, starts) - leftmost[with_face]
    scale = _COLUMNS / np.maximum(span, 1.0)

    def column(image: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of the grid column, counted over all images. Never falls with x, whatever is rounded."""
        within = (x - leftmost[image]) * scale[image]
        within = np.minimum(np.maximum(within, 0, out=within), _COLUMNS - 1, out=within)
        return np.asarray(image * _COLUMNS + within.astype(np.int64))

    face_column = column(of_face, face_left)
    by_column = np.argsort(face_column, kind="stable")
    faces_before = np.concatenate([[0], np.cumsum(np.bincount(face_column, minlength=faces.images * _COLUMNS))])
    face_top, face_bottom = face_top[by_column], face_bottom[by_column]
    of_detection = detections.image

    for begin in range(0, len(detections), _DETECTIONS_PER_BLOCK):
        image = of_detection[begin : begin + _DETECTIONS_PER_BLOCK]
        left, top, right, bottom = np.ascontiguousarray(detections.boxes[begin : begin + _DETECTIONS_PER_BLOCK].T)
        # Boxes less than one pixel apart overlap under the plus-one rule; two pixels leave room for rounding.
        across, down = lowest * (right - left) - 2.0, lowest * (bottom - top) - 2.0
        reach = widest[image]
        if lowest > 0 and faces.crowd is None:
            reach = np.minimum(reach, (right - left) / lowest + 2.0)
        first = faces_before[column(image, left + across - reach)]
        counts = np.maximum(faces_before[column(image, right - across) + 1] - first, 0)
        top, bottom = top + down, bottom - down
        pairs_before = np.concatenate([[0], np.cumsum(counts)])
        to_face = first - pairs_before[:-1]
        start = 0
        while start < len(image):
            stop = int(np.searchsorted(pairs_before, pairs_before[start] + _PAIRS_PER_BLOCK, side="right")) - 1
            stop = max(stop, start + 1)
            detection = np.repeat(np.arange(start, stop), counts[start:stop])
            face = np.arange(pairs_before[start], pairs_before[stop]) + to_face[detection]
            near = np.flatnonzero((face_top[face] <= bottom[detection]) & (face_bottom[face] >= top[detection]))
            yield begin + detection[near], by_column[face[near]]
            start = stop
