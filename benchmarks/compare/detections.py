"""Whether two versions found the same boxes, and how far apart they are where not."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..scoring.matching import iou_matrix

_BOX = ["x1", "y1", "x2", "y2", "score"]
_SAME_BOX_IOU = 0.5
_EXAMPLES = 5

Rows = NDArray[np.float64]
"""float64 (n, 5): x1, y1, x2, y2 in pixels, score."""


@dataclass(frozen=True, slots=True)
class DetectionChange:
    """The detections of two versions on the same images, of any score.

    A box of one version and a box of the other are the same box, moved, when they are each other's partner in the
    assignment of the highest total IoU and reach an IoU of 0.5; all others are there on one side only.

    Attributes:
        images: compared.
        differing: images whose sorted boxes and scores are not equal to the last bit.
        base_boxes: detections of the base, in all images.
        head_boxes: detections of the head.
        moved: boxes that both have, with other corners or another score.
        base_only: boxes that the head lost.
        head_only: boxes that the head has gained.
        largest_shift_px: largest distance of a corner coordinate among the moved boxes, pixels; 0 without any.
        largest_score_change: largest difference of a score among the moved boxes; 0 without any.
        landmarks_differ: images with equal boxes and scores and other landmarks.
        examples: up to five differing images, those with the most boxes lost, gained or moved first.
    """

    images: int
    differing: int
    base_boxes: int
    head_boxes: int
    moved: int
    base_only: int
    head_only: int
    largest_shift_px: float
    largest_score_change: float
    landmarks_differ: int
    examples: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every image has the same boxes with the same scores."""
        return self.differing == 0


def image_hashes(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Return a hash of the sorted rows of each image that has any; the order of the rows does not matter.

    Values are hashed as float64, which holds every float32 exactly; nan is equal to nan, and -0 to 0.
    """
    found = {}
    for image_id, rows in _by_image(table, columns).items():
        found[image_id] = hashlib.sha256(_sorted(rows).tobytes()).hexdigest()
    return found


def detection_change(base: pd.DataFrame, head: pd.DataFrame, image_ids: Sequence[str]) -> DetectionChange:
    """Compare two detection tables: by hash first, box by box where the hashes differ.

    Args:
        base: columns image_id, x1, y1, x2, y2, score and possibly landmarks; rows of other images are left out.
        head: the same of the other version.
        image_ids: the images to compare.
    """
    wanted = set(image_ids)
    base, head = base[base["image_id"].isin(wanted)], head[head["image_id"].isin(wanted)]
    differing = _differing(image_hashes(base, _BOX), image_hashes(head, _BOX), image_ids)
    landmarks = _differing(
        image_hashes(base, _landmark_columns(base)), image_hashes(head, _landmark_columns(head)), image_ids
    )
    base_rows, head_rows = _by_image(base, _BOX), _by_image(head, _BOX)
    nothing: Rows = np.empty((0, len(_BOX)))
    changes = {name: _image_change(base_rows.get(name, nothing), head_rows.get(name, nothing)) for name in differing}
    parts = list(changes.values())
    return DetectionChange(
        images=len(image_ids),
        differing=len(differing),
        base_boxes=len(base),
        head_boxes=len(head),
        moved=sum(part.moved for part in parts),
        base_only=sum(part.base_only for part in parts),
        head_only=sum(part.head_only for part in parts),
        largest_shift_px=max((part.shift_px for part in parts), default=0.0),
        largest_score_change=max((part.score_change for part in parts), default=0.0),
        landmarks_differ=len(set(landmarks) - set(differing)),
        examples=tuple(sorted(changes, key=lambda name: -changes[name].boxes)[:_EXAMPLES]),
    )


@dataclass(frozen=True, slots=True)
class _ImageChange:
    moved: int
    base_only: int
    head_only: int
    shift_px: float
    score_change: float

    @property
    def boxes(self) -> int:
        return self.moved + self.base_only + self.head_only


def _image_change(base: Rows, head: Rows) -> _ImageChange:
    base, head = _without_common(base, head)
    partners = _partners(base, head)
    shift = np.abs(base[partners[:, 0]] - head[partners[:, 1]])
    return _ImageChange(
        moved=len(partners),
        base_only=len(base) - len(partners),
        head_only=len(head) - len(partners),
        shift_px=float(shift[:, :4].max(initial=0.0)),
        score_change=float(shift[:, 4].max(initial=0.0)),
    )


def _partners(base: Rows, head: Rows) -> NDArray[np.int64]:
    """Return the rows that belong together: int64 (pairs, 2)."""
    from scipy.optimize import linear_sum_assignment

    iou = iou_matrix(base[:, :4], head[:, :4], plus_one=False)
    pairs = np.stack(linear_sum_assignment(iou, maximize=True), axis=1).astype(np.int64)
    return pairs[iou[pairs[:, 0], pairs[:, 1]] >= _SAME_BOX_IOU]


def _without_common(base: Rows, head: Rows) -> tuple[Rows, Rows]:
    """Leave out rows that both have, as often as both have them."""
    base_count, head_count = (Counter(map(tuple, rows.tolist())) for rows in (base, head))
    return _as_rows(base_count - head_count), _as_rows(head_count - base_count)


def _as_rows(counted: Counter[tuple[float, ...]]) -> Rows:
    return np.array(list(counted.elements()), dtype=np.float64).reshape(-1, len(_BOX))


def _by_image(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, Rows]:
    chosen = list(columns)
    return {str(name): rows[chosen].to_numpy(dtype=np.float64) for name, rows in table.groupby("image_id", sort=False)}


def _sorted(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = rows + 0.0  # makes -0 a 0
    return np.ascontiguousarray(rows[np.lexsort(rows.T[::-1])])


def _landmark_columns(table: pd.DataFrame) -> list[str]:
    return [*_BOX, *(name for name in table.columns if name not in (*_BOX, "image_id"))]


def _differing(base: Mapping[str, str], head: Mapping[str, str], image_ids: Sequence[str]) -> list[str]:
    return [name for name in image_ids if base.get(name) != head.get(name)]
