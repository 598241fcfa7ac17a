"""Haar cascades of OpenCV (Viola and Jones, CVPR 2001)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ...errors import UnavailableError, UsageError, did_you_mean
from ...importable import OPENCV, requirement
from ..base import BuildOptions, Detections, DetectorInfo, RGBImage
from ..boxes import xywh_to_xyxy
from ..process import PerProcess
from ..runtimes import OpenCvDetector


class Haar(OpenCvDetector):
    """A boosted cascade over Haar-like features, slid over an image pyramid.

    Args:
        cascade: file in OpenCV's cascade folder without `haarcascade_` and `.xml`.
        scale_factor: ratio between pyramid levels, 1.001 to 10; nearer to 1 finds more and costs more.
        min_neighbors: overlapping raw hits that a face needs.
        min_size: smallest face, pixels.

    The pyramid is part of the cascade's one call, and counts as inference.
    The score is the sum of the last stage that judged the window (`detectMultiScale3`'s level weights): a margin.
    """

    info = DetectorInfo(
        name="haar",
        family="boosted cascade",
        package="opencv-contrib-python",
        licence="Apache-2.0",
        score_kind="margin",
        devices=("cpu",),
        landmarks=False,
        reference="Viola, Jones: Rapid Object Detection using a Boosted Cascade of Simple Features, CVPR 2001",
        operating_threshold=float(np.finfo(np.float32).min),
        score_floor=float(np.finfo(np.float32).min),
        note="every window that passes the cascade is a face; the level weight only orders them",
        weights_licence="LicenseRef-Intel-OpenCV",
    )
    reference_scores = (6.344, 6.875)

    def __init__(
        self,
        *,
        cascade: str = "frontalface_default",
        scale_factor: float = 1.1,
        min_neighbors: int = 3,
        min_size: int = 20,
        **options: Unpack[BuildOptions],
    ) -> None:
        super().__init__(**options)
        import cv2
        from cv2.data import haarcascades

        file = Path(haarcascades) / f"haarcascade_{cascade}.xml"
        if not file.is_file():
            raise UnavailableError(
                f"haar: OpenCV {cv2.__version__} has no file {file.name}, expected a version that carries its cascades",
                f"pip install --force-reinstall --no-deps {requirement(OPENCV)}",
            )
        self._cascade = PerProcess(lambda: cv2.CascadeClassifier(str(file)))
        self._scale_factor = scale_factor
        self._min_neighbors = min_neighbors
        self._min_size = min_size

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges, and that the cascade exists."""
        if not 1.001 <= parameters["scale_factor"] <= 10:
            raise UsageError(
                f"haar:scale_factor={parameters['scale_factor']}: expected more than 1 (1.001 to 10), such as 1.05"
            )
        if parameters["min_neighbors"] < 0 or parameters["min_size"] < 1:
            raise UsageError("haar: expected min_neighbors of at least 0 and min_size of at least 1 pixel")
        _check_cascade(parameters["cascade"])

    def detect(self, image: RGBImage) -> Detections:
        """Run the cascade over the grey image."""
        import cv2

        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        with self._cascade.alone() as cascade:
            self.clock.inference()
            boxes, _, weights = cascade.detectMultiScale3(
                grey,
                scaleFactor=self._scale_factor,
                minNeighbors=self._min_neighbors,
                minSize=(self._min_size, self._min_size),
                outputRejectLevels=True,
            )
        self.clock.post()
        return Detections.from_arrays(xywh_to_xyxy(boxes), weights)


def _check_cascade(name: str) -> None:
    """Look for the name in OpenCV's folder without importing OpenCV, which may lack a library of the system."""
    spec = find_spec("cv2")
    folders = [Path(folder, "data") for folder in (spec and spec.submodule_search_locations) or ()]
    known = [file.stem.removeprefix("haarcascade_") for one in folders for file in one.glob("haarcascade_*.xml")]
    if known and name not in known:
        raise UsageError(f"haar:cascade={name}: OpenCV has no such cascade. {did_you_mean(name, known)}")
