"""Images resized before a detector sees them, boxes scaled back: the `size` of a protocol.

A size is `original`, `long=640` (the longer side becomes 640 px), `square=640` (the same, and what lacks to a square of
640 px is grey: all images have one size and can be one batch), `short=1600,max=2150` (the shorter side becomes 1600 px
unless the longer one would pass 2150), `tiles:640,overlap=.2` (the image in squares of 640 px, of which neighbours
share a fifth), or several of them joined by `+`: `original+long=320` shows the detector the image and a copy of 320 px,
and merges what it finds. Networks trained on crowds miss faces that fill the image; in the small copy they find them.
Those that shrink every image to a square of their own miss faces that are small in it; in tiles they find them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .base import Detections, Detector, Device, RGBImage
from .boxes import non_maximum_suppression
from .stages import StageClock

_SIZE = re.compile(
    r"original|long=(?P<long>[1-9]\d*)|square=(?P<square>[1-9]\d*)|short=(?P<short>[1-9]\d*)(,max=(?P<max>[1-9]\d*))?"
    r"|tiles:(?P<tile>[1-9]\d*)(,overlap=(?P<overlap>0?\.\d+|0))?"
)
DEFAULT_OVERLAP = 0.2
"""Of two neighbouring tiles, as in SAHI."""
GREY = 114
"""Of a square beside the image, as in the letterbox of YOLOv5; near the mean colour of photos."""
MERGE_IOU = 0.45
"""Of boxes of several copies or tiles that overlap more, the one with the lower score is dropped."""
SMALLEST_IN_COPY = 24
"""Pixels: side of the square as large as a box, from which on a smaller copy is believed; the first sees smaller faces
better. On the 130 images of the tables YuNet's exact hard AP is .9067 with this bound, .9017 without it, and .9048 at
the original size alone; bounds of 16 to 40 give .905 to .907."""


def check_size(size: str) -> None:
    """Raise UsageError where a size is written wrongly."""
    parts = size.split("+")
    if not all(_SIZE.fullmatch(part) for part in parts):
        raise UsageError(
            f"size {size!r}: expected original, long=PIXELS, square=PIXELS, short=PIXELS,max=PIXELS or "
            "tiles:PIXELS,overlap=SHARE (from 0 to below 1); several are joined by +, such as original+long=320"
        )
    if len(set(parts)) < len(parts):
        raise UsageError(f"size {size!r}: expected each part once")


def scale_for(size: str, height: int, width: int) -> float:
    """Return the factor by which a size of one part scales an image; tiles leave it as it is.

    >>> scale_for("long=640", 960, 1280)
    0.5
    """
    match = _SIZE.fullmatch(size)
    if match is None or size == "original" or match["tile"]:
        return 1.0
    if longest := match["long"] or match["square"]:
        return int(longest) / max(height, width)
    scale = int(match["short"]) / min(height, width)
    return min(scale, int(match["max"]) / max(height, width)) if match["max"] else scale


def tile_starts(length: int, tile: int, overlap: float) -> list[int]:
    """Return where tiles begin along one side of an image: each a step after the one before, the last moved inwards.

    The rule of SAHI (Akyon, Altinuc, Temizel: Slicing Aided Hyper Inference, ICIP 2022). A tile that is larger than the
    image is the image.

    Args:
        length: of the side, pixels.
        tile: side of a tile, pixels.
        overlap: share of a tile that the next one has too, 0 to less than 1.

    >>> tile_starts(1500, 640, 0.2)
    [0, 512, 860]
    """
    last = max(0, length - tile)
    return [*range(0, last, tile - int(overlap * tile)), last]


def sizes_seen(size: str, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Return height and width of each copy that a detector may see of an image: equal ones can be one batch.

    >>> sizes_seen("original+long=320", 480, 640)
    ((480, 640), (240, 320))
    """
    copies = [copy for part in size.split("+") for copy in _Copy.all_of(part, height, width)]
    return tuple((copy.side, copy.side) if copy.side else (copy.height, copy.width) for copy in copies)


class _Copy(NamedTuple):
    """How an image is shown: scaled to a height and width in pixels, within a square where `side` is not 0.

    Or as a tile of that height and width, unscaled, whose top left corner is `corner`: x, y.
    """

    scale: float
    height: int
    width: int
    side: int = 0
    corner: tuple[int, int] | None = None

    @classmethod
    def all_of(cls, size: str, height: int, width: int) -> list[_Copy]:
        """Return the copies of a size of one part: one, or each tile."""
        scale, match = scale_for(size, height, width), _SIZE.fullmatch(size)
        if match and match["tile"]:
            tile, overlap = int(match["tile"]), float(match["overlap"] or DEFAULT_OVERLAP)
            places = itertools.product(tile_starts(height, tile, overlap), tile_starts(width, tile, overlap))
            return [cls(1.0, min(tile, height), min(tile, width), 0, (left, top)) for top, left in places]
        side = int(match["square"] or 0) if match else 0
        return [cls(scale, max(1, round(height * scale)), max(1, round(width * scale)), side)]


def resized(detector: Detector, size: str) -> Detector:
    """Return the detector as it answers at a size: itself for "original".

    Raises:
        UsageError: the size is written wrongly.
    """
    return detector if size == "original" else ResizedDetector(detector, size)


class WrappedDetector(Detector):
    """A detector that holds another one and closes it with itself; a subclass says what `detect` makes of it.

    Args:
        detector: what to wrap, built already: there is nothing to load or to check. Card, device, threads, thresholds
            and clock are its own.
    """

    def __init__(self, detector: Detector) -> None:
        self.info = detector.info  # type: ignore[misc]
        self.device = detector.device
        self.threads = detector.threads
        self.operating_threshold = detector.operating_threshold
        self.score_floor = detector.score_floor
        # a third party's detector may do without the constructor of its base
        self.clock = getattr(detector, "clock", None) or StageClock()
        self._detector = detector

    def device_used(self) -> Device:
        """Ask the wrapped detector."""
        return self._detector.device_used()

    def threads_used(self) -> int | None:
        """Ask the wrapped detector."""
        return self._detector.threads_used()

    def device_memory_mb(self) -> float | None:
        """Ask the wrapped detector."""
        return self._detector.device_memory_mb()

    def precision_used(self) -> str | None:
        """Ask the wrapped detector."""
        return self._detector.precision_used()

    def batches(self) -> bool:
        """Ask the wrapped detector."""
        return self._detector.batches()

    def close(self) -> None:
        """Close the wrapped detector."""
        self._detector.close()


class ResizedDetector(WrappedDetector):
    """A detector that sees every image at a given size, or at several; its boxes are pixels of the image given.

    Images shrink by area averaging and grow bilinearly (OpenCV's INTER_AREA and INTER_LINEAR). The resizing is part
    of `detect`, so of its time. Of several sizes the first one always runs, a further one only where it is smaller
    than the first, for faces of at least `SMALLEST_IN_COPY` there. Tiles are shown beside these copies, in
    any place of the size, and not where the only one is the image that a copy shows already. What all of them find is
    merged by greedy non-maximum suppression at an IoU of `MERGE_IOU`. A face that a tile cuts may be found in part as
    well, and such a part stays where it overlaps the whole face by less: tiles should share as many pixels as the
    largest face has that only they find.

    Args:
        detector: what to wrap; it is closed with this one.
        size: as the module describes it.

    Raises:
        UsageError: the size is written wrongly.
    """

    def __init__(self, detector: Detector, size: str) -> None:
        check_size(size)
        super().__init__(detector)
        self._sizes = size.split("+")

    def detect(self, image: RGBImage) -> Detections:
        """Find the faces in one image."""
        copies = self._copies(image)
        return _joined(copies, [_in_pixels(self._detector.detect(_shown(image, one)), image, one) for one in copies])

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Find the faces in several images: the copies of all of them are one batch of the wrapped detector."""
        copies = [self._copies(image) for image in images]
        pairs = [(image, copy) for image, of in zip(images, copies, strict=True) for copy in of]
        answers = self._detector.detect_batch([_shown(*pair) for pair in pairs])
        found = iter([_in_pixels(answer, *pair) for answer, pair in zip(answers, pairs, strict=True)])
        return [_joined(of, [next(found) for _ in of]) for of in copies]

    def _copies(self, image: RGBImage) -> list[_Copy]:
        """Return how the wrapped detector sees an image."""
        height, width = image.shape[:2]
        copies = [copy for size in self._sizes for copy in _Copy.all_of(size, height, width)]
        whole = [copy for copy in copies if copy.corner is None]
        whole = [copy for copy in whole if copy is whole[0] or copy.scale < whole[0].scale]
        shown_whole = any((copy.height, copy.width, copy.side) == (height, width, 0) for copy in whole)
        tiles = [copy for copy in copies if copy.corner is not None]
        return whole + [tile for tile in tiles if (tile.height, tile.width) != (height, width) or not shown_whole]


def _shown(image: RGBImage, copy: _Copy) -> RGBImage:
    """Return an image as it is shown; itself where that is the same."""
    import cv2

    if copy.corner is not None:
        left, top = copy.corner
        return image[top : top + copy.height, left : left + copy.width]
    shown = image
    if (copy.height, copy.width) != image.shape[:2]:
        mode = cv2.INTER_AREA if copy.scale < 1 else cv2.INTER_LINEAR
        shown = np.asarray(cv2.resize(image, (copy.width, copy.height), interpolation=mode), dtype=np.uint8)
    if not copy.side or (copy.height, copy.width) == (copy.side, copy.side):
        return shown
    square = np.full((copy.side, copy.side, 3), GREY, dtype=np.uint8)
    square[: copy.height, : copy.width] = shown
    return square


def _in_pixels(found: Detections, image: RGBImage, copy: _Copy) -> Detections:
    """Return what was found in a copy of an image in the image's own pixels."""
    height, width = image.shape[:2]
    if (copy.height, copy.width) == (height, width):
        return found
    if copy.corner is not None:
        corner = np.array(copy.corner, dtype=np.float32)
        points = None if found.landmarks is None else found.landmarks + corner
        return Detections(found.boxes + np.tile(corner, 2), found.scores, points)
    factor = np.array([width / copy.width, height / copy.height], dtype=np.float32)
    points = None if found.landmarks is None else found.landmarks * factor
    return Detections(found.boxes * np.tile(factor, 2), found.scores, points)


def _joined(copies: Sequence[_Copy], found: Sequence[Detections]) -> Detections:
    """Return what all copies of an image show, the first of them whole."""
    if len(found) == 1:
        return found[0]
    large = (
        part if copy.corner is not None else _of_side(part, SMALLEST_IN_COPY / copy.scale)
        for part, copy in zip(found[1:], copies[1:], strict=True)
    )
    return _merged([found[0], *large])


def _of_side(found: Detections, smallest: float) -> Detections:
    """Return those as large as a square of this side, pixels, or larger."""
    keep = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1) >= smallest**2
    points = None if found.landmarks is None else found.landmarks[keep]
    return Detections(found.boxes[keep], found.scores[keep], points)


def _merged(parts: list[Detections]) -> Detections:
    boxes = np.concatenate([part.boxes for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    keep = non_maximum_suppression(boxes, _above_zero(scores), MERGE_IOU)
    landmarks = [part.landmarks for part in parts if part.landmarks is not None]
    # an image without faces may come without landmarks from a detector that has them
    points = np.concatenate(landmarks)[keep] if sum(map(len, landmarks)) == len(boxes) and landmarks else None
    return Detections.from_arrays(boxes[keep], scores[keep], points)


def _above_zero(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ranks that order as the scores do, of equal ones the first before the others.

    Suppression asks for scores above 0, and margins are not.
    """
    ranks = np.empty(len(scores), dtype=np.float32)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(len(scores), 0, -1)
    return ranks
