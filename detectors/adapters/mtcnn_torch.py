"""MTCNN in PyTorch: the weights of mtcnn.py and its boxes, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from ..base import UNKNOWN, BuildOptions, Detections, Device, RGBImage
from ..images import run_together
from ..models import fetch
from ..runtimes import pytorch
from .mtcnn import THRESHOLDS, Mtcnn, MtcnnFamily, Thresholds


class MtcnnTorch(MtcnnFamily):
    """The networks in PyTorch, with the arithmetic of the package mtcnn around them: both give the same boxes.

    PyTorch has one number of threads for the whole process, which is set in a process of the detector's own only; it
    becomes 1 in a forked child.

    Args:
        min_face_size: smallest face, pixels; the pyramid starts there.
        thresholds: probability that each stage demands.
    """

    info = replace(
        Mtcnn.info,
        name="mtcnn-torch",
        package="torch",
        licence="BSD-3-Clause",
        trained_on=(UNKNOWN,),
        weights_licence=UNKNOWN,
        note="weights of mtcnn, in files of facenet-pytorch; its own last threshold ends the precision-recall curve",
    )
    requires = ("torch",)
    extra = "torch"
    models = ("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")
    reference_scores = (1.0, 0.0)

    def __init__(
        self, *, min_face_size: int = 20, thresholds: Thresholds = THRESHOLDS, **options: Unpack[BuildOptions]
    ) -> None:
        super().__init__(thresholds, **options)
        from ..networks.mtcnn import Cascade

        pytorch.set_up(self.device, self.threads)
        self._cascade = Cascade([fetch(name) for name in self.models], self.device, min_face_size, thresholds)

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Run the images of each size through the stages together; the answers come in the images' order."""
        return run_together(images, self._detect_together)

    def _run(self, image: RGBImage) -> Detections:
        return self._detect_together([image])[0]

    def _detect_together(self, images: list[RGBImage]) -> list[Detections]:
        pytorch.do_without_lost_threads()
        return [Detections.from_arrays(*found).above(self.score_floor) for found in self._cascade(images)]

    def device_used(self) -> Device:
        """Read where the weights lie."""
        return "cuda" if next(self._cascade.networks[-1].parameters()).is_cuda else "cpu"

    def threads_used(self) -> int | None:
        """Read PyTorch's thread count."""
        return pytorch.threads_of_process()

    def device_memory_mb(self) -> float | None:
        """Read the peak of PyTorch's allocator."""
        return pytorch.peak_memory_mb() if self.device_used() == "cuda" else None
