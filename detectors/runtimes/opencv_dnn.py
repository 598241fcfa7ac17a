"""OpenCV's dnn module, whose networks keep the sizes of the first image that they meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import Device
from ..process import PerProcess, own_process
from .graphs import with_sizes
from .sessions import OnnxNetwork, Precision, Session


class OpenCvSession(Session):
    """A network in OpenCV, read again for each new shape of its input: one that is reused gives wrong answers."""

    def __init__(self, network: OnnxNetwork) -> None:
        import cv2

        if own_process():
            cv2.setNumThreads(network.threads)
        self._network = network
        self._nets: PerProcess[dict[tuple[int, ...], Any]] = PerProcess(dict)

    def run(self, batch: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        """Run it, one thread at a time."""
        import cv2

        with self._nets.alone() as nets:
            if batch.shape not in nets:
                nets.clear()
                nets[batch.shape] = cv2.dnn.readNetFromONNX(
                    np.frombuffer(with_sizes(self._network.model, batch.shape), dtype=np.uint8)
                )
            net = nets[batch.shape]
            net.setInput(batch)
            return [np.array(output) for output in net.forward(list(self._network.outputs))]

    def device(self) -> Device:
        """Always the CPU."""
        return "cpu"

    def threads(self) -> int:
        """Read OpenCV's thread count."""
        import cv2

        return int(cv2.getNumThreads())

    def precision(self) -> Precision:
        """Always fp32."""
        return "fp32"
