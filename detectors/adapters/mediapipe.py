"""MediaPipe's face detectors: BlazeFace, by the Tasks API (Bazarevsky et al., arXiv:1907.05047)."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any, Literal, Unpack

import numpy as np

from ..base import BuildOptions, Detections, Detector, DetectorInfo, Range, RGBImage
from ..boxes import xywh_to_xyxy
from ..models import store as model_store
from ..process import PerProcess


class MediaPipe(Detector):
    """BlazeFace on a letter-boxed square of 128 (short range) or 192 (full range) pixels.

    The task's one call, which counts as inference, holds the letter-box and the suppression as well. MediaPipe tells
    nothing of its threads and takes no number. Its boxes are means of overlapping candidates, weighted by score, so
    which candidates take part moves them: the task always runs from the card's score floor on, and what scores less
    than this detector's is dropped afterwards. Boxes therefore differ by pixels from those of a task built with
    another `min_detection_confidence`, and are the same at every threshold.

    Args:
        model: "short" for faces within two metres (selfies), "full" for faces within five (sparse weights).
        confidence: probability from which a box is a face, 0.05 to 1.
    """

    info = DetectorInfo(
        name="mediapipe",
        family="single-stage CNN",
        package="mediapipe",
        licence="Apache-2.0",
        score_kind="probability",
        devices=("cpu",),
        landmarks=False,
        reference="Bazarevsky et al.: BlazeFace: Sub-millisecond Neural Face Detection, arXiv:1907.05047",
        operating_threshold=0.5,
        score_floor=0.05,
        note="boxes in whole pixels; its six points hold no mouth corners, so they are not landmarks here; "
        "the wheel has no GPU delegate for Python on Linux without a display",
    )
    requires = ("mediapipe",)
    must_load = ("cv2", "libEGL.so.1", "libGLESv2.so.2")
    extra = "mediapipe"
    ranges = (Range("confidence", info.score_floor, 1),)
    variants = ("model=short",)
    reference_scores = (0.908, 0.881)

    def __init__(
        self, *, model: Literal["short", "full"] = "full", confidence: float = 0.5, **options: Unpack[BuildOptions]
    ) -> None:
        super().__init__(operating_threshold=confidence, **options)
        self.score_floor = max(self.score_floor, self.info.score_floor)
        with _without_tensorflow():
            import mediapipe
            from mediapipe.tasks.python import vision
            from mediapipe.tasks.python.core.base_options import BaseOptions

        self._mediapipe = mediapipe
        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_path=str(model_store.fetch(f"mediapipe-{model}"))),
            min_detection_confidence=self.info.score_floor,
        )
        me = weakref.ref(self)
        self._closers: list[weakref.finalize[..., MediaPipe]] = []

        def open_task() -> Any:
            task = vision.FaceDetector.create_from_options(options)
            detector = me()
            assert detector is not None
            detector._closers.append(weakref.finalize(detector, _close, task, os.getpid()))
            return task

        self._detector = PerProcess(open_task)

    @classmethod
    def model_names(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the network of the range asked for."""
        return (f"mediapipe-{parameters['model']}",)

    def detect(self, image: RGBImage) -> Detections:
        """Run one image through the task."""
        converted = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        self.clock.inference()
        found = self._detector.get().detect(converted).detections
        self.clock.post()
        boxes = [(box.origin_x, box.origin_y, box.width, box.height) for box in (item.bounding_box for item in found)]
        scores = [item.categories[0].score for item in found]
        return Detections.from_arrays(xywh_to_xyxy(boxes), scores).above(self.score_floor)

    def close(self) -> None:
        """Close the task."""
        for closer in self._closers:
            closer()


def _close(task: Any, process: int) -> None:
    """Close a task where its thread is there to do so: not in a forked child, and not at the exit of the program.

    There it is left to the system, without its handle: its own `__del__` would wait forever, or raise.
    """
    if process == os.getpid() and threading.main_thread().is_alive():
        task.close()
    else:
        task._handle = None


@contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Hide TensorFlow, which is not a dependency, from MediaPipe's import in this thread.

    Where it is installed for another detector, MediaPipe loads all of it for one decorator of its documentation: four
    seconds and half a gigabyte that would count as this detector's.
    """
    hidden = _Hidden(threading.get_ident())
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


class _Hidden(MetaPathFinder):
    def __init__(self, thread: int) -> None:
        self._thread = thread

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "tensorflow" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("hidden from mediapipe", name=fullname)
