"""libfacedetection as it is compiled into the wheel yuface (Feng et al., IEEE T-BIOM 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Unpack

import numpy as np

from ...errors import UsageError
from ..base import BuildOptions, Detections, Detector, DetectorInfo, Range, RGBImage
from ..boxes import xywh_to_xyxy
from ..process import lost_its_threads, own_process
from ..runtimes import to_bgr

LONGEST_SIDE = 49_151
_WRAPS, _FIRST = 65_536, -16_384
"""The library counts pixels in 16 bits, so that 32,768 comes as -32,768; no face begins 16,384 left of an image."""


class LibFaceDetection(Detector):
    """A network like `yunet`'s, by the same authors, in C++ that needs no runtime.

    The library decodes and suppresses boxes in the call that runs the network; all of it counts as inference. Boxes and
    landmarks are whole pixels, scores whole percent.

    It holds the GIL, so threads take turns. Its OpenMP threads are counted for each calling thread; the number is set
    during a call, and stays set in a process of the detector's own. A forked child would wait forever for those of its
    parent: it computes with one.

    Args:
        confidence: probability from which a box is a face.
    """

    info = DetectorInfo(
        name="libfacedetection",
        family="single-stage CNN",
        package="yuface",
        licence="BSD-3-Clause",
        score_kind="probability",
        devices=("cpu",),
        landmarks=True,
        trained_on=("WIDER FACE",),
        reference="Feng, Yu, Peng, Li, Zhang: Detect Faces Efficiently: A Survey and Evaluations, T-BIOM 2022",
        operating_threshold=0.5,
        score_floor=0.2,
        note="whole pixels, whole percent, 512 faces at most; its own threshold, .2, ends the precision-recall curve",
        weights_licence="BSD-3-Clause",
    )
    requires = ("yuface",)
    must_load = ("cv2",)
    extra = "libfacedetection"
    ranges = (Range("confidence", 0.2, 1),)
    reference_scores = (0.91, 0.87)

    def __init__(self, *, confidence: float = 0.5, **options: Unpack[BuildOptions]) -> None:
        super().__init__(operating_threshold=confidence, **options)
        import threadpoolctl
        import yuface.yuface

        # the module inside: the function around it warns of images above 960 pixels and drops a score at the threshold
        self._net = yuface.yuface.detect
        found = threadpoolctl.ThreadpoolController()
        own = [pool.filepath for pool in found.lib_controllers if "yuface.libs" in str(pool.filepath)]
        self._pools = found.select(filepath=own)
        if own_process():
            self._pools.limit(limits=self.threads)
        # reads its weights at the first call
        with self._limited():
            self._net(np.zeros((1, 1, 3), np.uint8))

    def detect(self, image: RGBImage) -> Detections:
        """Run the network at the size of the image.

        Raises:
            UsageError: a side is longer than 49,151 pixels.
        """
        if max(image.shape[:2]) > LONGEST_SIDE:
            raise UsageError(
                f"libfacedetection counts pixels in 16 bits: got {image.shape[1]} × {image.shape[0]}, expected sides "
                f"of at most {LONGEST_SIDE}; let it see a smaller copy, such as size long=1600"
            )
        bgr = to_bgr(image)
        with self._limited():
            self.clock.inference()
            rows = self._net(bgr).astype(np.int32)
            self.clock.post()
        places = np.where(rows[:, 1:15] < _FIRST, rows[:, 1:15] + _WRAPS, rows[:, 1:15])
        found = Detections.from_arrays(xywh_to_xyxy(places[:, :4]), rows[:, 0] / np.float32(100), places[:, 4:])
        return found.above(self.score_floor)

    def threads_used(self) -> int | None:
        """Read how many threads its OpenMP has during a call; None where it is not found in this process."""
        with self._limited():
            return max((int(pool["num_threads"]) for pool in self._pools.info()), default=None)

    @contextmanager
    def _limited(self) -> Iterator[None]:
        with self._pools.limit(limits=1 if lost_its_threads("yuface") else self.threads):
            yield
