"""An ONNX network opened in the runtime that was asked for."""

from __future__ import annotations

from ...errors import DeviceError
from .onnx_runtime import OnnxRuntimeSession, TensorRtSession
from .opencv_dnn import OpenCvSession
from .openvino_runtime import OpenVinoSession
from .sessions import OnnxNetwork, Runtime, Session, check_runtime


def open_session(network: OnnxNetwork, runtime: Runtime) -> Session:
    """Open a network in a runtime, and make sure that it is what was asked for.

    Raises:
        DeviceError: the runtime does not run it on this device, or not in this precision on this processor.
        UsageError: the runtime has not this precision on any processor.
        ImportError: its package is missing.
    """
    check_runtime(runtime, network.precision, network.device)
    session = _opened(network, runtime)
    if (used := session.device()) != network.device:
        raise DeviceError(f"asked {runtime} for {network.device}, got {used}")
    if (computes := session.precision()) != network.precision:
        raise DeviceError(f"asked {runtime} for {network.precision}, but on this processor it computes in {computes}")
    return session


def _opened(network: OnnxNetwork, runtime: Runtime) -> Session:
    match runtime:
        case "onnxruntime":
            return OnnxRuntimeSession(network)
        case "tensorrt":
            return TensorRtSession(network)
        case "openvino":
            return OpenVinoSession(network)
        case "opencv":
            return OpenCvSession(network)
