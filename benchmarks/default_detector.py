"""The file that names the default detector: written by `facebench pick`, read by pipelines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..detectors import Detections, Detector, RGBImage, create
from ..detectors.pictures import check_picture
from ..detectors.resized import ResizedDetector
from ..detectors.wrapped import WrappedDetector
from ..errors import ResultsError
from .results import write_atomically

SCHEMA = "facebench.default"
SCHEMA_VERSION = 2
"""2: the size at which pictures are given, and the threads. Version 1 is read: the original size, one thread."""
FILE_NAME = "default_detector.json"
BUILT_IN = Path(__file__).parents[1] / FILE_NAME


def write_pick(choice: dict[str, Any], path: Path) -> None:
    """Write default_detector.json, whole or not at all."""
    write_atomically(path, (json.dumps(choice, indent=2) + "\n").encode())


class ThresholdedDetector(WrappedDetector):
    """A detector that returns only what reaches its operating threshold."""

    def __init__(self, detector: Detector, threshold: float) -> None:
        super().__init__(detector)
        self.operating_threshold = threshold
        self.score_floor = max(threshold, detector.score_floor)

    def detect(self, image: RGBImage) -> Detections:
        """Find the faces in one picture.

        Raises:
            UsageError: `image` is no uint8 (height, width, 3); this is where users enter.
        """
        check_picture(image)
        return self._detector.detect(image).above(self.operating_threshold)


def default_file() -> Path:
    """Return the file that holds the default: FACEBENCH_DEFAULT, else the working folder's, else the built-in one."""
    named = os.environ.get("FACEBENCH_DEFAULT")
    if named:
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.is_file() else BUILT_IN


def load_default(path: Path | None = None, *, threads: int | None = None) -> Detector:
    """Build the picked detector in this process.

    Args:
        path: a file written by `facebench pick`; by default as `default_file` finds it.
        threads: CPU threads; None for as many as it was measured with.

    Raises:
        ResultsError: the file cannot be read, or is no such file.
        UnavailableError: the detector's package or model is missing.
        DeviceError: its device cannot be used here.
    """
    choice = read_pick(path or default_file())
    detector = create(choice["detector"], device=choice["device"], threads=threads or choice["threads"])
    if choice["size"] != "original":
        detector = ResizedDetector(detector, choice["size"])
    return ThresholdedDetector(detector, float(choice["threshold"]))


def read_pick(path: Path) -> dict[str, Any]:
    """Read and check a default_detector.json.

    Raises:
        ResultsError: it cannot be read, or is no such file.
    """
    try:
        choice = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"cannot read the default detector from {path}: {error}. Write one with: facebench pick RUN"
        ) from error
    if isinstance(choice, dict) and (choice.get("schema"), choice.get("schema_version")) == (SCHEMA, 1):
        choice |= {"schema_version": SCHEMA_VERSION, "size": "original", "threads": 1}
    if not isinstance(choice, dict) or (choice.get("schema"), choice.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        raise ResultsError(
            f"{path} is not a default detector of schema version {SCHEMA_VERSION}; write one with: facebench pick RUN"
        )
    return choice
