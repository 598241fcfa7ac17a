"""What a face detector is: one method, one result value, one card that says what it is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ContractError, DeviceError, UsageError
from .process import check_threads
from .stages import StageClock

RGBImage = NDArray[np.uint8]
"""An image: uint8 of shape (height, width, 3), channels red, green, blue."""

Device = Literal["cpu", "cuda"]
ScoreKind = Literal["probability", "margin", "none"]
UNKNOWN = "unknown"
"""In place of a licence or a data set of which nothing is published."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The faces found in one image, best first.

    Attributes:
        boxes: float32 (n, 4): x1, y1, x2, y2 in pixels of the image given, continuous, origin at its top-left
            corner, not clipped to the image; x2 >= x1 and y2 >= y1.
        scores: float32 (n,), never rising; what they mean is `DetectorInfo.score_kind`.
        landmarks: float32 (n, 5, 2) or None: x, y of left eye, right eye, nose, left and right mouth corner,
            left and right as seen in the image.

    Raises:
        ContractError: on a wrong dtype or shape, on NaN or infinity, on a negative size, on rising scores.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        n = len(self.scores) if np.ndim(self.scores) else 0
        _check_array("scores", self.scores, (n,))
        _check_array("boxes", self.boxes, (n, 4))
        if self.landmarks is not None:
            _check_array("landmarks", self.landmarks, (n, 5, 2))
        if n and bool((self.boxes[:, 2:] < self.boxes[:, :2]).any()):
            bad = self.boxes[(self.boxes[:, 2:] < self.boxes[:, :2]).any(axis=1)][0]
            raise ContractError(f"boxes must have x2 >= x1 and y2 >= y1, got {bad.tolist()}")
        if n > 1 and bool((np.diff(self.scores) > 0).any()):
            raise ContractError("scores must come highest first; use Detections.from_arrays to sort them")
        for array in (self.boxes, self.scores, self.landmarks):
            if array is not None:
                array.setflags(write=False)

    @classmethod
    def from_arrays(cls, boxes: ArrayLike, scores: ArrayLike, landmarks: ArrayLike | None = None) -> Detections:
        """Build a result from boxes in any order and any numeric dtype: cast to float32, sort by score (stable).

        >>> Detections.from_arrays([[0, 0, 2, 2], [1, 1, 5, 5]], [0.2, 0.9]).boxes[0].tolist()
        [1.0, 1.0, 5.0, 5.0]
        """
        box_array, score_array = _rows("boxes", boxes, (4,)), _rows("scores", scores, ())
        points = None if landmarks is None else _rows("landmarks", landmarks, (5, 2))
        for name, rows in (("boxes", box_array), ("landmarks", points)):
            if rows is not None and len(rows) != len(score_array):
                raise ContractError(f"got {len(rows)} {name} and {len(score_array)} scores, expected as many of both")
        order = np.argsort(-score_array, kind="stable")
        return cls(box_array[order], score_array[order], None if points is None else points[order])

    @classmethod
    def empty(cls, landmarks: bool = False) -> Detections:
        """Return the result for an image without faces."""
        return cls.from_arrays([], [], [] if landmarks else None)

    def __len__(self) -> int:
        return len(self.scores)

    def records(self) -> list[dict[str, Any]]:
        """Return a dictionary a face, ready for JSON: box and score; landmarks where there are."""
        records: list[dict[str, Any]] = [
            {"box": [round(side, 2) for side in box], "score": round(score, 4)}
            for box, score in zip(self.boxes.tolist(), self.scores.tolist(), strict=True)
        ]
        for record, points in zip(records, [] if self.landmarks is None else self.landmarks.tolist(), strict=False):
            record["landmarks"] = [[round(value, 2) for value in point] for point in points]
        return records

    def above(self, threshold: float) -> Detections:
        """Return the detections with a score of at least `threshold`, both compared as float32."""
        keep = self.scores >= float(threshold)
        return Detections(self.boxes[keep], self.scores[keep], None if self.landmarks is None else self.landmarks[keep])


def _rows(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = np.array(values, dtype=np.float32)
    try:
        return array.reshape(-1, *shape)
    except ValueError:
        raise ContractError(f"{name} must be rows of shape {shape}, got an array of shape {array.shape}") from None


def _check_array(name: str, array: object, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.shape != shape:
        got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ContractError(f"{name} must be a float32 array of shape {shape}, got {got}")
    if not np.isfinite(array).all():
        raise ContractError(f"{name} must be finite, got {int((~np.isfinite(array)).sum())} NaN or infinite values")


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """The card of a detector: what a report prints beside its numbers.

    Attributes:
        name: the name in a spec string.
        family: the kind of method, such as "cascade" or "single-stage CNN".
        package: the package whose code does the work.
        licence: of the package's code, as an SPDX identifier; several that all hold are joined by " AND ". What the
            package itself depends on is not looked at.
        score_kind: "probability" (0 to 1), "margin" (unbounded, higher is surer) or "none" (all scores are 1).
        devices: where this adapter can run.
        landmarks: whether results carry landmarks.
        trained_on: data sets that the weights have seen in training; "unknown" among them where not all are published,
            none where nothing was learnt. Of weights in the model store models.toml says it: see `DetectorSpec.card`.
        reference: paper or page.
        operating_threshold: score from which the library, by its own defaults, calls a detection a face.
        score_floor: score down to which a benchmark run keeps detections, so that precision-recall curves are whole.
        note: what a reader must know beside the numbers.
        weights_licence: of the weights, as `licence`; "unknown" where no statement is known. models.toml says it too.
    """

    name: str
    family: str
    package: str
    licence: str
    score_kind: ScoreKind
    devices: tuple[Device, ...]
    landmarks: bool
    trained_on: tuple[str, ...] = (UNKNOWN,)
    reference: str = ""
    operating_threshold: float = 0.0
    score_floor: float = 0.0
    note: str = ""
    weights_licence: str = UNKNOWN


def check_card(info: DetectorInfo, device: Device) -> None:
    """Raise DeviceError where a card has not this device."""
    if device not in info.devices:
        raise DeviceError(f"{info.name} runs on {' and '.join(info.devices)} only ({info.package}), got {device!r}")


class BuildOptions(TypedDict, total=False):
    """What every detector is built with beside its parameters, handed on to `Detector`, which says more of each."""

    device: Device
    threads: int
    score_floor: float | None


class Range(NamedTuple):
    """The lowest and the highest value of a parameter, and what a message says after them, such as "pixels"."""

    parameter: str
    low: float
    high: float = math.inf
    unit: str = ""


class Detector(ABC):
    """A face detector. Adapters implement `__init__` (load everything) and `detect`.

    Threads may share one: an adapter whose library object keeps something between calls lets them take turns (see
    `per_process`). Processes cannot: pickling hands on the arguments it was built with, and the other side builds it
    again, as `multiprocessing` with spawn and joblib do. In a forked child the adapters here build what they need when
    they are first used. `with` closes it at the end.

    The keyword-only arguments of an adapter's `__init__`, apart from those below, are its parameters: they can be
    written in a spec string (`haar:scale_factor=1.05`) and are converted by their annotations. Libraries are imported
    in `__init__`, never at module import.

    Args:
        device: "cpu" or "cuda"; a device that cannot really be used raises, it never falls back.
        threads: CPU threads that the library may use; a number that the library has once a process is set only where
            the process belongs to this detector (see `thread_counts.own_process`).
        score_floor: keep detections down to this score, or None for the operating threshold.
        operating_threshold: for adapters to pass on where a parameter sets it; None for the card's.

    Raises:
        DeviceError: the device cannot be used.
        UnavailableError: a package or model file is missing.
        UsageError: a parameter is out of range.
    """

    info: ClassVar[DetectorInfo]
    requires: ClassVar[tuple[str, ...]] = ()
    """Modules that must be importable."""
    must_load: ClassVar[tuple[str, ...]] = ()
    """Modules and shared libraries that need something of the system, which may lack it though all is installed."""
    extra: ClassVar[str] = ""
    """The extra of facebench that installs them; empty: in the default install."""
    models: ClassVar[tuple[str, ...]] = ()
    """The names in models.toml of the files that it needs, where parameters do not decide that: see `model_names`."""
    ranges: ClassVar[tuple[Range, ...]] = ()
    """What its parameters may be, as far as a lowest and a highest value say it; the rest is for `check_parameters`."""
    variants: ClassVar[tuple[str, ...]] = ()
    """Parameters with which a run measures it as well where no detector is named, such as "model=short"."""
    reference_scores: ClassVar[tuple[float, float] | None] = None
    """Best scores on the two images of `probe_images.colour_probes`, with the library called as it should be.

    They are how the conformance kit notices swapped colour channels, which many detectors survive with small losses.
    """

    _built_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __init__(
        self,
        *,
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
        operating_threshold: float | None = None,
    ) -> None:
        self.check_device(device)
        self.device = device
        self.threads = check_threads(threads)
        default = self.info.operating_threshold
        self.operating_threshold = default if operating_threshold is None else operating_threshold
        self.score_floor = min(self.operating_threshold, math.inf if score_floor is None else score_floor)
        self.clock = StageClock()

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Remember the arguments, for pickling."""
        self = super().__new__(cls)
        self._built_with = arguments, named
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        arguments, named = self._built_with
        return partial(type(self), *arguments, **named), ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @abstractmethod
    def detect(self, image: RGBImage) -> Detections:
        """Find the faces in one image.

        Args:
            image: uint8 (height, width, 3), RGB; it may be read-only or non-contiguous and is never modified.

        Returns:
            The detections in host memory, best first; the device has finished when this returns.
        """

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Find the faces in several images, one after the other unless an adapter does better.

        An adapter that does takes images of any sizes, mixed: it runs those of each size together, or pads them so that
        boxes do not move. Its answers are those of `detect`, in the images' order, and the device has finished.
        """
        return [self.detect(image) for image in images]

    def batches(self) -> bool:
        """Return whether `detect_batch` runs images together; False: it takes one after the other."""
        return type(self).detect_batch is not Detector.detect_batch

    def device_used(self) -> Device:
        """Read back from the library where it really runs."""
        return "cpu"

    def threads_used(self) -> int | None:
        """Read back from the library how many threads it may use; None where the library cannot tell."""
        return None

    def device_memory_mb(self) -> float | None:
        """Return the largest device memory held so far, MB; None on the CPU or where the library cannot tell."""
        return None

    def precision_used(self) -> str | None:
        """Read back in which precision the network computes, such as "fp32"; None where nobody asks the library."""
        return None

    def close(self) -> None:
        """Free what the detector holds; the detector is not used afterwards. A second call does nothing."""

    @classmethod
    def model_names(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the names in models.toml of the files that these parameters need."""
        return cls.models

    @classmethod
    def weights(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the names in models.toml whose licence and training data are those of the weights in use."""
        return cls.model_names(**parameters)

    @classmethod
    def card_for(cls, **parameters: Any) -> DetectorInfo:
        """Return the card of the detector with these parameters, where they decide package or devices."""
        return cls.info

    @classmethod
    def modules_for(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the modules that must be importable for these parameters."""
        return cls.requires

    @classmethod
    def remedy_for(cls, **parameters: Any) -> str:
        """Return the command that installs them."""
        return cls.remedy_packages()

    @classmethod
    def remedy_packages(cls) -> str:
        """Return the command that installs the missing packages, whatever the parameters."""
        return f"pip install 'facebench[{cls.extra}]'" if cls.extra else "pip install facebench"

    @classmethod
    def check_device(cls, device: Device) -> None:
        """Raise DeviceError where the card has not this device; whether the machine has it is seen when it is built."""
        check_card(cls.info, device)

    @classmethod
    def check_build(cls, device: Device, **parameters: Any) -> None:
        """Raise DeviceError where the build of its library that is installed lacks this device; imports nothing."""

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Raise UsageError where a parameter is out of range; types have been checked already."""
        for name, low, high, unit in cls.ranges:
            if not low <= parameters[name] <= high:
                expected = f"{low:g} to {high:g}" if high < math.inf else f"at least {low:g}"
                raise UsageError(f"{cls.info.name}:{name}={parameters[name]}: expected {expected} {unit}".rstrip())
