"""ONNX Runtime sessions that run where they were told to, with the threads they were given."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError
from ..base import Device
from ..process import PerProcess
from .sessions import OnnxNetwork, Precision, Session

Providers = Mapping[str, Mapping[str, Any]]

_CUDA = "CUDAExecutionProvider"
# CUDA rounds the factors of fp32 to 10 bits (TF32) unless it is told not to
_PROVIDERS: Mapping[Device, Providers] = {"cpu": {"CPUExecutionProvider": {}}, "cuda": {_CUDA: {"use_tf32": "0"}}}


class OnnxRuntimeSession(Session):
    """A network in ONNX Runtime, on the CPU or by CUDA."""

    def __init__(self, network: OnnxNetwork) -> None:
        self._network = network
        self._precision = _precision_of(network)
        self._session = PerProcess(
            lambda: open_onnx(_graph(network), network.device, network.threads, self._providers())
        )

    def _providers(self) -> Providers:
        """Return the providers that are asked before that of the device."""
        return {}

    def run(self, batch: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        """Run it."""
        found: list[NDArray[np.float32]] = self._session.get().run(
            list(self._network.outputs), {self._network.input: batch}
        )
        return found

    def device(self) -> Device:
        """Read the first provider of the session."""
        return device_of(self._session.get())

    def threads(self) -> int:
        """Read the session's options."""
        return threads_of(self._session.get())

    def precision(self) -> Precision:
        """Read the graph; on CUDA make sure that fp32 is not TF32."""
        options = self._session.get().get_provider_options().get(_CUDA, {})
        if options.get("use_tf32", "0") != "0":
            raise DeviceError("asked ONNX Runtime for fp32, got TF32: this version cannot switch it off")
        return self._precision


class TensorRtSession(OnnxRuntimeSession):
    """A network in TensorRT, by ONNX Runtime; what TensorRT cannot run, CUDA does."""

    def _providers(self) -> Providers:
        return {"TensorrtExecutionProvider": {"trt_fp16_enable": str(int(self._network.precision == "fp16"))}}


def open_onnx(model: Path | bytes, device: Device, threads: int, before: Providers | None = None) -> Any:
    """Open a session of ONNX Runtime.

    It falls back to the CPU with no more than a log line; here that is an error.

    Args:
        model: the graph.
        device: where it shall run.
        threads: CPU threads of one operator.
        before: further providers, which are asked before that of the device.

    Raises:
        DeviceError: a provider is missing or was not taken.
    """
    import onnxruntime

    providers = {**(before or {}), **_PROVIDERS[device]}
    wanted = next(iter(providers))
    if wanted not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"ONNX Runtime {onnxruntime.__version__} has no {wanted} "
            f"(it has {', '.join(onnxruntime.get_available_providers())}); for cuda install onnxruntime-gpu instead"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        options,
        providers=list(providers),
        provider_options=[dict(one) for one in providers.values()],
    )
    if (taken := session.get_providers()[0]) != wanted:
        raise DeviceError(f"asked ONNX Runtime for {wanted}, got {taken}; check the CUDA libraries")
    return session


def check_provider(name: str) -> None:
    """Check that the installed ONNX Runtime, if any, has a provider; nothing is imported.

    Args:
        name: "cuda" or "tensorrt", as in the name of its shared library.

    Raises:
        DeviceError: it does not.
    """
    found = importlib.util.find_spec("onnxruntime")
    folders = (found and found.submodule_search_locations) or ()
    if folders and not any(
        path for folder in folders for path in Path(folder, "capi").glob(f"*onnxruntime_providers_{name}.*")
    ):
        raise DeviceError(
            f"the ONNX Runtime that is installed has no library for {name}; install onnxruntime-gpu in its place"
        )


def _leave_at_once() -> None:
    """Let a forked child leave out the C library's exit handlers: ONNX Runtime's waits for a thread of the parent."""
    leave = getattr(ctypes.CDLL(None), "on_exit", None)  # glibc's; it hands the exit status on
    if leave is not None and "onnxruntime" in sys.modules:
        leave(ctypes.CDLL(None)._exit, None)


os.register_at_fork(after_in_child=_leave_at_once)


def device_of(session: Any) -> Device:
    """Read back where a session runs."""
    return "cpu" if session.get_providers()[0] == "CPUExecutionProvider" else "cuda"


def threads_of(session: Any) -> int:
    """Read back how many threads one operator of a session may use."""
    return int(session.get_session_options().intra_op_num_threads)


def _graph(network: OnnxNetwork) -> bytes:
    """Return the graph in the precision asked for, with inputs and outputs of float32."""
    if network.precision != "fp16":
        return network.model
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half = convert_float_to_float16(onnx.load_model_from_string(network.model), keep_io_types=True)
    serialised: bytes = half.SerializeToString()
    return serialised


def _precision_of(network: OnnxNetwork) -> Precision:
    """Read from the graph whether its weights are integers."""
    import onnx

    nodes = onnx.load_model_from_string(network.model).graph.node
    if any(node.op_type in ("DequantizeLinear", "QLinearConv") for node in nodes):
        return "int8"
    return "fp16" if network.precision == "fp16" else "fp32"
