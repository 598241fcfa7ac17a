"""What the detectors on ONNX graphs share: runtime and precision are parameters of theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..base import DetectorInfo, Device
from .onnx_runtime import check_provider
from .opencv import OpenCvDetector
from .sessions import RUNTIMES, Session, check_runtime


class OnnxDetector(OpenCvDetector):
    """A detector that keeps a `Session` in `_session`, and that takes the parameters `runtime` and `precision`.

    OpenCV gets its images ready. On CUDA, inference holds the transfers both ways.
    """

    requires = ("onnxruntime",)
    extra = "cpu"
    _session: Session

    @classmethod
    def card_for(cls, **parameters: Any) -> DetectorInfo:
        """Return the card with the package and the devices of the runtime."""
        runtime = parameters.get("runtime")
        if runtime is None:
            return cls.info
        card = RUNTIMES[runtime]
        devices = tuple(device for device in cls.info.devices if device in card.precisions)
        return replace(cls.info, package=card.package, devices=devices)

    @classmethod
    def modules_for(cls, **parameters: Any) -> tuple[str, ...]:
        """Return what the runtime needs."""
        return (RUNTIMES[parameters["runtime"]].module,)

    @classmethod
    def remedy_for(cls, **parameters: Any) -> str:
        """Return the command that installs the runtime."""
        return RUNTIMES[parameters["runtime"]].remedy

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges, and that the runtime has the precision."""
        super().check_parameters(**parameters)
        check_runtime(parameters["runtime"], parameters["precision"])

    @classmethod
    def check_build(cls, device: Device, **parameters: Any) -> None:
        """Look for the part of ONNX Runtime that the device needs."""
        if device == "cuda":
            check_provider("tensorrt" if parameters["runtime"] == "tensorrt" else "cuda")

    def device_used(self) -> Device:
        """Ask the session."""
        return self._session.device()

    def threads_used(self) -> int | None:
        """Ask the session and OpenCV; the larger number."""
        return max(self._session.threads(), super().threads_used() or 0)

    def precision_used(self) -> str | None:
        """Ask the session."""
        return self._session.precision()
