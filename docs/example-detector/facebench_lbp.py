"""The face cascade of scikit-image as a detector for facebench: local binary patterns (Liao et al., ICB 2007)."""

from __future__ import annotations

from typing import Any

from facebench import Detections, Detector, DetectorInfo
from facebench.detectors import Device, RGBImage
from facebench.errors import UsageError


class Lbp(Detector):
    """A boosted cascade over local binary patterns; its one call counts as inference.

    The cascade tells no scores: every box has 1, and the largest comes first.

    Args:
        scale_factor: ratio between the sizes of the window.
        step_ratio: 1 looks at every place; up to 1.5 costs less and finds nearly as much.
        min_size: smallest face, pixels.
    """

    info = DetectorInfo(
        name="lbp",
        family="boosted cascade",
        package="scikit-image",
        licence="BSD-3-Clause",
        score_kind="none",
        devices=("cpu",),
        landmarks=False,
        trained_on=("unknown",),
        reference="Liao et al.: Learning Multi-scale Block Local Binary Patterns for Face Recognition, ICB 2007",
        operating_threshold=1.0,
        score_floor=1.0,
        note="no scores: its precision-recall curve is one point",
        weights_licence="BSD-3-Clause",
    )
    requires = ("skimage",)

    def __init__(
        self,
        *,
        scale_factor: float = 1.2,
        step_ratio: float = 1.0,
        min_size: int = 24,
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
    ) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade

        self._cascade = Cascade(lbp_frontal_face_cascade_filename())
        self._scale_factor = scale_factor
        self._step_ratio = step_ratio
        self._min_size = min_size

    @classmethod
    def remedy_packages(cls) -> str:
        """What `facebench detectors list` advises where scikit-image is missing."""
        return "pip install scikit-image"

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges, before anything is loaded."""
        for name, least in (("scale_factor", 1.01), ("step_ratio", 1.0), ("min_size", 24)):
            if not parameters[name] >= least:
                raise UsageError(f"lbp:{name}={parameters[name]}: expected at least {least}")

    def detect(self, image: RGBImage) -> Detections:
        """Run the cascade over the image."""
        self.clock.inference()
        found = self._cascade.detect_multi_scale(
            img=image,
            scale_factor=self._scale_factor,
            step_ratio=self._step_ratio,
            min_size=(self._min_size, self._min_size),
            max_size=image.shape[:2],
        )
        self.clock.post()
        found.sort(key=lambda face: -face["width"])
        boxes = [(face["c"], face["r"], face["c"] + face["width"], face["r"] + face["height"]) for face in found]
        return Detections.from_arrays(boxes, [1.0] * len(boxes))

    def threads_used(self) -> int:
        """The cascade is searched in the calling thread."""
        return 1
