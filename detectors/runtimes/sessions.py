"""ONNX networks in one of several runtimes, which run what they were told to: device, threads and precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError, UsageError
from ..base import Device

Runtime = Literal["onnxruntime", "tensorrt", "openvino", "opencv"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]


class RuntimeCard(NamedTuple):
    """What a runtime is, and what it can do with an ONNX graph.

    Attributes:
        package: that runs the network.
        licence: of it, an SPDX identifier.
        module: what must be importable.
        remedy: the command that installs it.
        precisions: by device.
    """

    package: str
    licence: str
    module: str
    remedy: str
    precisions: Mapping[Device, tuple[Precision, ...]]


RUNTIMES: Mapping[Runtime, RuntimeCard] = MappingProxyType(
    {
        "onnxruntime": RuntimeCard(
            "onnxruntime",
            "MIT",
            "onnxruntime",
            "pip install 'facebench[cpu]'",
            {"cpu": ("fp32", "int8"), "cuda": ("fp32", "fp16")},
        ),
        "tensorrt": RuntimeCard(
            "onnxruntime-gpu",
            "MIT",
            "onnxruntime",
            "pip install 'facebench[cuda]' tensorrt",
            {"cuda": ("fp32", "fp16")},
        ),
        "openvino": RuntimeCard(
            "openvino",
            "Apache-2.0",
            "openvino",
            "pip install 'facebench[openvino]'",
            {"cpu": ("fp32", "fp16", "bf16", "int8")},
        ),
        "opencv": RuntimeCard(
            "opencv-contrib-python",
            "Apache-2.0",
            "cv2",
            "pip install facebench",
            {"cpu": ("fp32",)},
        ),
    }
)


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """An ONNX graph and how it shall run.

    Attributes:
        model: the bytes of the graph; its input is float32 (n, 3, height, width), all but the 3 free.
        input: its name.
        outputs: the names of the outputs wanted, in the order wanted.
        device: where it shall run.
        threads: CPU threads of one operator.
        precision: in which it shall compute; inputs and outputs are float32 whatever it is.
    """

    model: bytes
    input: str
    outputs: tuple[str, ...]
    device: Device = "cpu"
    threads: int = 1
    precision: Precision = "fp32"


class Session(ABC):
    """A network that is loaded: threads may run it at once, and a forked child opens it again when it first needs it.

    Args:
        network: what to open.

    Raises:
        DeviceError: the runtime does not run it on this device, or not in this precision.
    """

    @abstractmethod
    def __init__(self, network: OnnxNetwork) -> None: ...

    @abstractmethod
    def run(self, batch: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        """Return the outputs in the order asked for, in host memory, for float32 (n, 3, height, width)."""

    @abstractmethod
    def device(self) -> Device:
        """Read back where it runs."""

    @abstractmethod
    def threads(self) -> int:
        """Read back how many threads one operator may use."""

    @abstractmethod
    def precision(self) -> Precision:
        """Read back in which precision it computes."""


def check_runtime(runtime: Runtime, precision: Precision, device: Device | None = None) -> None:
    """Check that a runtime has a precision, on this device or on any.

    Raises:
        DeviceError: it does not run on this device.
        UsageError: it has not this precision there.
    """
    offered = RUNTIMES[runtime].precisions
    if device is not None and device not in offered:
        raise DeviceError(f"the runtime {runtime} runs networks on {' and '.join(offered)} only, got {device!r}")
    devices = tuple(offered) if device is None else (device,)
    if not any(precision in offered[one] for one in devices):
        known = "; ".join(f"{', '.join(offered[one])} on {one}" for one in devices)
        raise UsageError(f"the runtime {runtime} has no precision {precision}, expected {known}")
