"""OpenVINO, which takes bfloat16 by itself where the processor has it, unless it is told not to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError
from ..base import Device
from ..process import PerProcess, ProcessLock
from .sessions import OnnxNetwork, Precision, Session

_HINTS = {"fp32": "f32", "int8": "f32", "fp16": "f16", "bf16": "bf16"}
_TYPES: dict[str, Precision] = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


_lock = ProcessLock()
_cores: list[PerProcess[Any]] = []


def _core() -> Any:
    """Return the one `openvino.Core` of this process, which is never freed.

    Its CPU plug-in gives the thread a stack for signals and unmaps it when it is freed; of two that are freed in the
    order in which they were made, the thread keeps a stack that is no longer there, and the next signal writes over
    the memory of others or ends the process.
    """
    import openvino

    with _lock:
        if not _cores:
            _cores.append(PerProcess(openvino.Core))
    return _cores[0].get()


class OpenVinoSession(Session):
    """A network in OpenVINO on the CPU, with a request for each thread that calls."""

    def __init__(self, network: OnnxNetwork) -> None:
        self._network = network
        self._compiled = PerProcess(self._compile)
        self._of_thread = threading.local()

    def _compile(self) -> Any:
        core = _core()
        network = self._network
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[network.precision],
            "INFERENCE_NUM_THREADS": network.threads,
            "NUM_STREAMS": 1,
            # the process is pinned from outside
            "ENABLE_CPU_PINNING": False,
        }
        try:
            return core.compile_model(core.read_model(network.model), "CPU", options)
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO cannot run this network in {network.precision}: {error}") from error

    def run(self, batch: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        """Run it; the outputs are good until this thread's next run."""
        found = self._request().infer({self._network.input: batch}, share_inputs=True, share_outputs=True)
        return [found[name] for name in self._network.outputs]

    def _request(self) -> Any:
        """Return this thread's request, which holds the memory of the network's layers."""
        compiled = self._compiled.get()
        known = getattr(self._of_thread, "request", None)
        if known is None or known[0] is not compiled:
            known = self._of_thread.request = compiled, compiled.create_infer_request()
        return known[1]

    def device(self) -> Device:
        """Always the CPU."""
        return "cpu"

    def threads(self) -> int:
        """Read the compiled model's property."""
        return int(self._compiled.get().get_property("INFERENCE_NUM_THREADS"))

    def precision(self) -> Precision:
        """Read the compiled model's property; int8 where the graph itself is quantised."""
        model = self._compiled.get()
        computes = _TYPES[model.get_property("INFERENCE_PRECISION_HINT").to_string()]
        quantised = any(node.get_type_name() == "FakeQuantize" for node in model.get_runtime_model().get_ops())
        return "int8" if quantised else computes
