"""Images to emotions: find the faces, cut them out, classify all of an image at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.choose.default import load_default
from ...datasets.faces.fer import EMOTIONS
from ...detectors import Detections, Detector, RGBImage, check_image
from ...errors import ContractError
from .crops import DEFAULT_POLICY, CropPolicy, as_policy, can_align, crop


class Classifier(Protocol):
    """What the pipeline asks of a classifier; `EmotionClassifier` is one."""

    def classify(self, faces: Sequence[NDArray[np.uint8]], /) -> NDArray[np.float32]:
        """Return the probabilities of `EMOTIONS`, float32 (n, 7), for n crops of any sizes, grey or RGB."""


@dataclass(frozen=True, slots=True)
class PipelineTimes:
    """Where the time of one image went, milliseconds.

    Attributes:
        detector_ms: finding the faces.
        crop_ms: cutting them out.
        classifier_ms: classifying them all, resizing to the network's input among it; 0 without faces.
    """

    detector_ms: float
    crop_ms: float
    classifier_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class FaceEmotions:
    """The faces of one image and what they show.

    Attributes:
        detections: the faces, best first.
        probabilities: float32 (n, 7) of `EMOTIONS`, one row per face, each between 0 and 1.
        aligned: bool (n,): whether the crop was aligned by landmarks; false where the box was cut.
        times: what it took.

    Raises:
        ContractError: the arrays do not fit together, or a probability is none.
    """

    detections: Detections
    probabilities: NDArray[np.float32]
    aligned: NDArray[np.bool_]
    times: PipelineTimes

    def __post_init__(self) -> None:
        n = len(self.detections)
        for name, array, kind, shape in (
            ("probabilities", self.probabilities, np.float32, (n, len(EMOTIONS))),
            ("aligned", self.aligned, np.bool_, (n,)),
        ):
            if not isinstance(array, np.ndarray) or array.dtype != kind or array.shape != shape:
                got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
                raise ContractError(f"{name} of {n} faces: got {got}, expected {np.dtype(kind)} {shape}")
        # written so that NaN fails too; a softmax in float32 may end a hair above 1
        if not bool(((self.probabilities >= 0) & (self.probabilities <= 1 + 1e-4)).all()):
            raise ContractError("probabilities must lie between 0 and 1; the classifier gave others, or NaN")

    def __len__(self) -> int:
        return len(self.detections)

    @property
    def labels(self) -> tuple[str, ...]:
        """The most probable emotion of every face."""
        return tuple(EMOTIONS[index] for index in self.probabilities.argmax(axis=1).tolist())

    def records(self) -> list[dict[str, Any]]:
        """Return a dictionary a face, ready for JSON: box, score, emotion, probabilities; landmarks where there are."""
        probabilities = ([round(p, 4) for p in row] for row in self.probabilities.tolist())
        return [
            record | {"emotion": label, "probabilities": dict(zip(EMOTIONS, row, strict=True))}
            for record, label, row in zip(self.detections.records(), self.labels, probabilities, strict=True)
        ]


class EmotionPipeline:
    """A detector, a way to cut faces out, and a classifier; threads may share one as far as they may its parts.

    Attributes:
        detector: finds the faces; what it returns is taken as it is, above whatever threshold it has.
        policy: how faces are cut out.
        note: what a reader must know: that `align` was asked of a detector without landmarks; else empty.

    ```
    with EmotionPipeline.default() as pipeline:
        found = pipeline(image)
    print(found.labels)
    ```
    """

    def __init__(
        self,
        detector: Detector,
        crop: CropPolicy | str = DEFAULT_POLICY,
        classifier: Classifier | None = None,
        *,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Put the parts together; nothing is loaded.

        Args:
            detector: finds the faces; the pipeline closes it with itself.
            crop: how faces are cut out, as a value or as text for `CropPolicy.parse`.
            classifier: says what they show; None for the one that comes with facebench, loaded when first needed.
            clock: nanoseconds.

        Raises:
            UsageError: the text is not a crop policy.
        """
        self.detector = detector
        self.policy = as_policy(crop)
        self.note = ""
        if self.policy.align and not detector.info.landmarks:
            self.note = f"{detector.info.name} gives no landmarks: faces are cut out by their boxes, not aligned"
        self._classifier = classifier
        self._clock = clock

    @classmethod
    def default(cls) -> EmotionPipeline:
        """The picked detector, see `facebench.load_default`, and the classifier that comes with facebench.

        Raises:
            UnavailableError: the detector's package or model is missing.
            ResultsError: the file that names the detector cannot be read.
        """
        return cls(load_default())

    @property
    def classifier(self) -> Classifier:
        """What classifies; the one that comes with facebench is loaded here.

        Raises:
            ModelStoreError: its file cannot be read.
        """
        if self._classifier is None:
            from .classifier import EmotionClassifier

            self._classifier = EmotionClassifier.shipped()
        return self._classifier

    def find(self, image: RGBImage) -> FaceEmotions:
        """Find the faces of one image and what they show; the classifier is called once, and not without faces.

        Args:
            image: uint8 (h, w, 3) RGB; never changed.

        Raises:
            UsageError: the image is not of this kind.
            ContractError: the classifier's answer is none.
        """
        check_image(image)
        start = self._clock()
        found = self.detector.detect(image)
        detected = self._clock()
        landmarks = [None] * len(found) if found.landmarks is None else list(found.landmarks)
        pairs = list(zip(found.boxes, landmarks, strict=True))
        crops = [crop(image, box, points, self.policy) for box, points in pairs]
        aligned = np.array([self.policy.align and can_align(points) for _, points in pairs], np.bool_)
        cut = self._clock()
        if not crops:
            nothing = np.zeros((0, len(EMOTIONS)), np.float32)
            return FaceEmotions(
                found, nothing, aligned, PipelineTimes((detected - start) / 1e6, (cut - detected) / 1e6, 0)
            )
        probabilities = self.classifier.classify(crops)
        end = self._clock()
        times = PipelineTimes((detected - start) / 1e6, (cut - detected) / 1e6, (end - cut) / 1e6)
        return FaceEmotions(found, probabilities, aligned, times)

    __call__ = find

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Free what the detector holds; the pipeline is not used afterwards."""
        self.detector.close()


__all__ = ["Classifier", "EmotionPipeline", "FaceEmotions", "PipelineTimes"]
