"""The package face-recognition as its users call it: dlib's detectors without their scores."""

from __future__ import annotations

import warnings
from typing import Any, Literal, Unpack

import numpy as np

from ...errors import UnavailableError
from ..base import BuildOptions, Detections, Detector, DetectorInfo, Range, RGBImage
from ..process import ProcessLock, refuse_fork
from .dlib_cnn import NETWORKS


class FaceRecognition(Detector):
    """`face_recognition.face_locations`, one call, which counts as inference.

    The package has one object of dlib's for the whole process, so all detectors of this class take turns.

    Args:
        model: "hog" or "cnn", dlib's two detectors.
        upsample: how often the image is doubled first (the package's default is 1).
    """

    info = DetectorInfo(
        name="face-recognition",
        family="HOG + SVM or CNN",
        package="face-recognition",
        licence="MIT",
        score_kind="none",
        devices=("cpu",),
        landmarks=False,
        trained_on=("LFW",),
        reference="github.com/ageitgey/face_recognition",
        operating_threshold=1.0,
        score_floor=1.0,
        note="the package hides scores: every box has 1, so its precision-recall curve is one point; "
        "boxes are clipped to the image",
        weights_licence="BSL-1.0",
    )
    requires = ("face_recognition", "face_recognition_models", "pkg_resources", "dlib")
    extra = "dlib"
    ranges = (Range("upsample", 0, 2),)
    reference_scores = (1.0, 0.0)
    _turn = ProcessLock()

    def __init__(
        self, *, model: Literal["hog", "cnn"] = "hog", upsample: int = 1, **options: Unpack[BuildOptions]
    ) -> None:
        super().__init__(**options)
        try:
            # the filters are the process's: two threads in here at once would leave them changed
            with self._turn, warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
                import face_recognition
        except SystemExit as error:
            # the package prints advice and quits the interpreter where its models or pkg_resources are missing
            raise UnavailableError("face_recognition quit on import", self.remedy_packages()) from error
        self._locate = face_recognition.face_locations
        self._model = model
        self._upsample = upsample

    @classmethod
    def weights(cls, **parameters: Any) -> tuple[str, ...]:
        """The package face_recognition_models carries the file of `dlib-cnn`; the card tells of HOG's filters."""
        return ("dlib-cnn",) if parameters["model"] == "cnn" else ()

    @classmethod
    def remedy_packages(cls) -> str:
        """The packages need pkg_resources and name a dlib that compiles for minutes."""
        return (
            "pip install 'facebench[dlib]' 'setuptools<81' && "
            "pip install --no-deps face-recognition face_recognition_models"
        )

    def detect(self, image: RGBImage) -> Detections:
        """Call the package; its boxes are top, right, bottom, left, the last two the last pixels inside."""
        converted = np.ascontiguousarray(image)
        if self._model == "cnn":
            refuse_fork(NETWORKS)
        with self._turn:
            self.clock.inference()
            found = self._locate(converted, self._upsample, self._model)
        self.clock.post()
        boxes = [(left, top, right + 1, bottom + 1) for top, right, bottom, left in found]
        return Detections.from_arrays(boxes, np.ones(len(boxes)))

    def threads_used(self) -> int | None:
        """Dlib runs its HOG detector in the calling thread, and does not tell of its networks."""
        return 1 if self._model == "hog" else None
