"""A detector and a classifier that see brightness: exact, and quick."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from facebench.detectors import Detections, Detector, DetectorInfo
from facebench.emotions import EMOTIONS

BRIGHT = 128
INFO = DetectorInfo("fake", "fake", "tests", "MIT", "probability", ("cpu",), False, (), "none")


class BrightBoxes(Detector):
    """Every bright patch is a face; its size is its score. With landmarks, they are those of an upright face."""

    info = INFO

    def __init__(self, *, landmarks: np.ndarray | None = None) -> None:
        super().__init__()
        self.landmarks = landmarks
        self.closed = False
        self.seen: list[np.ndarray] = []

    def detect(self, image: np.ndarray) -> Detections:
        self.seen.append(image)
        _, _, stats, _ = cv2.connectedComponentsWithStats((image.max(axis=2) > BRIGHT).astype(np.uint8))
        boxes = [[x, y, x + w, y + h] for x, y, w, h, area in stats[1:].tolist() if area >= 20]
        points = None
        if self.landmarks is not None:
            points = [self.landmarks * (x2 - x1) + [x1, y1] for x1, y1, x2, _ in boxes]
        return Detections.from_arrays(boxes, [(x2 - x1) / image.shape[1] for x1, _, x2, _ in boxes], points)

    def close(self) -> None:
        self.closed = True


class GreyLevels:
    """Grey below 170 is sad, 170 to 210 neutral, above happy, each at 0.94."""

    def __init__(self) -> None:
        self.batches: list[list[np.ndarray]] = []

    def classify(self, faces: Sequence[np.ndarray]) -> np.ndarray:
        self.batches.append(list(faces))
        probabilities = np.full((len(faces), 7), 0.01, np.float32)
        for row, face in zip(probabilities, faces, strict=True):
            level = float(np.median(face))
            row[EMOTIONS.index("sad" if level < 170 else "neutral" if level < 210 else "happy")] = 0.94
        return probabilities


class Ticks:
    """A clock that goes on by a millisecond at every look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1_000_000
        return self.now


def scene(*faces: tuple[int, int, int, int], size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """A dark image with square faces: x, y, side, grey level."""
    image = np.full((*size, 3), 30, np.uint8)
    for x, y, side, level in faces:
        image[y : y + side, x : x + side] = level
    return image
