"""Detectors with a batch of their own, each good or bad in one way; loaded in children by their module's name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from facebench.detectors import Detections, Detector, DetectorInfo, RGBImage

INFO = DetectorInfo("batch", "test", "none", "MIT", "probability", ("cpu",), False, (), "tests", 0.5, 0.5)


class OneByOne(Detector):
    """Has no batch; finds one box in the middle of every image."""

    info = INFO

    def detect(self, image: RGBImage) -> Detections:
        height, width = image.shape[:2]
        return Detections.from_arrays([[width / 4, height / 4, width / 2, height / 2]], [0.9])


class Together(OneByOne):
    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        return [self.detect(image) for image in images]


class Raises(Together):
    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        if len(images) == 4:
            raise RuntimeError("four is too many")
        return super().detect_batch(images)


class Aborts(Together):
    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        if len(images) == 4:
            os.abort()
        return super().detect_batch(images)


class Eats(Together):
    """Takes a gigabyte for four images."""

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        if len(images) == 4:
            eaten = np.ones(2**30, np.uint8)
            assert eaten[-1]
        return super().detect_batch(images)


class Grows(Together):
    """Takes 40 MB an image, and gives them back."""

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        room = np.ones(len(images) * 40 * 2**20, np.uint8)
        assert room[-1]
        return super().detect_batch(images)


class Moves(Together):
    """Finds other boxes in a batch of four, and no face in its last image."""

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        found = super().detect_batch(images)
        if len(images) < 4:
            return found
        moved = Detections(found[0].boxes + np.float32(1), found[0].scores)
        return [moved, *found[1:-1], Detections.empty()]


class Forgets(Together):
    """Answers for fewer images than it is given."""

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        return super().detect_batch(images)[: 3 if len(images) == 4 else None]


class Lists(Together):
    def detect_batch(self, images: Sequence[RGBImage]) -> Any:
        found = super().detect_batch(images)
        return [one.boxes for one in found] if len(images) == 4 else found


class Floored(Together):
    """Has a box below its threshold, for curves; in a batch too, where it is asked for it."""

    info = replace(INFO, score_floor=0.1)

    def detect(self, image: RGBImage) -> Detections:
        found = Detections.from_arrays([[4, 4, 40, 40], [0, 0, 8, 8]], [0.9, 0.3])
        return found.above(self.score_floor)


class DiesInTheSecondRound(Together):
    """Ends with a batch of four once a folder tells that a round is over."""

    def __init__(self, *, mark: str, **options: Any) -> None:
        super().__init__(**options)
        self._mark = mark

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        if len(images) == 4 and os.path.exists(self._mark):  # noqa: PTH110
            os.abort()
        return super().detect_batch(images)


class RaisesOnBright(Together):
    def detect(self, image: RGBImage) -> Detections:
        if image[0, 0, 0] == 255:
            raise RuntimeError("too bright")
        return super().detect(image)
