"""ONNX Runtime sessions that run where they were told to, with the threads they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import DeviceError
from ..base import Device
from ..process import PerProcess

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxSession(PerProcess[Any]):
    """A network that threads may run at once, opened again in a forked child.

    Args:
        model: an ONNX file, or its bytes.
        device: where it shall run.
        threads: CPU threads of one operator.

    Raises:
        DeviceError: as `open_session` does.
    """

    def __init__(self, model: Path | bytes, device: Device, threads: int) -> None:
        super().__init__(lambda: open_session(model, device, threads))

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> Any:
        """Return the outputs named, an array each, in host memory."""
        return self.get().run(list(outputs), dict(inputs))

    def device(self) -> Device:
        """Read back where it runs."""
        return device_of(self.get())

    def threads(self) -> int:
        """Read back how many threads one operator may use."""
        return threads_of(self.get())


def open_session(model: Path | bytes, device: Device, threads: int) -> Any:
    """Open a session on one device.

    ONNX Runtime falls back to the CPU with no more than a log line; here that is an error.

    Raises:
        DeviceError: the provider of the device is missing or was not taken.
    """
    import onnxruntime

    provider = _PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"ONNX Runtime {onnxruntime.__version__} has no {provider} "
            f"(it has {', '.join(onnxruntime.get_available_providers())}); for cuda install onnxruntime-gpu instead"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=[provider])
    if device_of(session) != device:
        raise DeviceError(
            f"asked ONNX Runtime for {provider}, got {session.get_providers()[0]}; check the CUDA libraries"
        )
    return session


def device_of(session: Any) -> Device:
    """Read back where a session runs."""
    return "cuda" if session.get_providers()[0] == _PROVIDERS["cuda"] else "cpu"


def threads_of(session: Any) -> int:
    """Read back how many threads one operator of a session may use."""
    return int(session.get_session_options().intra_op_num_threads)
