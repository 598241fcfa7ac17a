"""RetinaFace with a MobileNet0.25 body in PyTorch, on the blocks of retinaface-pytorch (Deng et al., CVPR 2020).

The package's own network knows the ResNet-50 body only and needs torchvision; its blocks need torch alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..base import BuildOptions, Device
from ..models import store as model_store
from ..networks.retinaface_common import OPERATING_THRESHOLD, Answer, RetinaFaceFamily, card
from ..process import devices
from ..runtimes import pytorch

_STORED_WEIGHTS = {"onnx": "retinaface-onnx", "pth": "retinaface-pth"}


class RetinaFace(RetinaFaceFamily):
    """The network in PyTorch; scores are filtered on the device, the rest is decoded on the host.

    PyTorch has one number of threads for the whole process, which is set in a process of the detector's own only. A
    forked child does not have PyTorch's threads, which it would wait for forever: the number becomes 1 there.

    Args:
        weights: "onnx" (the values of the file that `retinaface-onnx` runs), "pth" (the original PyTorch weights
            from the model store), or the path of a .pth file with the same layout.
        confidence: probability from which a box is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
    """

    info = card("retinaface", "retinaface-pytorch")
    requires = ("torch", "retinaface.net")
    extra = "retinaface"

    def __init__(
        self,
        *,
        weights: str = "onnx",
        confidence: float = OPERATING_THRESHOLD,
        nms_threshold: float = 0.4,
        **options: Unpack[BuildOptions],
    ) -> None:
        super().__init__(confidence, nms_threshold, **options)
        from ..networks.retinaface import build_network, load_onnx_weights, load_state_file

        pytorch.set_up(self.device, self.threads)
        file = model_store.fetch(_STORED_WEIGHTS[weights]) if weights in _STORED_WEIGHTS else Path(weights)
        network = build_network()
        (load_onnx_weights if weights == "onnx" else load_state_file)(network, file)
        self._network = network.to(self.device)

    @classmethod
    def remedy_packages(cls) -> str:
        """retinaface-pytorch pins an old torch, so no resolver can install it."""
        return "pip install 'facebench[retinaface]' && pip install --no-deps retinaface-pytorch"

    @classmethod
    def model_names(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the stored weights, or nothing where the caller gives a file."""
        stored = _STORED_WEIGHTS.get(parameters["weights"])
        return (stored,) if stored else ()

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges, and that the weights exist."""
        super().check_parameters(**parameters)
        weights = parameters["weights"]
        if weights not in _STORED_WEIGHTS and not Path(weights).is_file():
            raise UsageError(f"retinaface:weights={weights}: expected onnx, pth or the path of an existing .pth file")

    def _run(self, batch: NDArray[np.float32]) -> list[Answer]:
        import torch

        pytorch.do_without_lost_threads()
        with torch.inference_mode():
            given = torch.from_numpy(batch).to(self.device)
            devices.synchronise(self.device)
            self.clock.inference()
            locations, scores, points = self._network(given)
            devices.synchronise(self.device)
            self.clock.post()
            keep = scores >= self.score_floor
            offsets, kept, landmarks, rows = (
                tensor.cpu().numpy() for tensor in (locations[keep], scores[keep], points[keep], keep)
            )
        ends = np.cumsum(rows.sum(axis=1))[:-1]
        return list(zip(np.split(offsets, ends), np.split(kept, ends), np.split(landmarks, ends), rows, strict=True))

    def device_used(self) -> Device:
        """Read where the weights lie."""
        return "cuda" if next(self._network.parameters()).is_cuda else "cpu"

    def threads_used(self) -> int | None:
        """Read PyTorch's thread count."""
        return pytorch.threads_of_process()

    def precision_used(self) -> str | None:
        """Read PyTorch's setting."""
        return pytorch.precision_of_process(self.device_used())

    def device_memory_mb(self) -> float | None:
        """Read the peak of PyTorch's allocator."""
        return pytorch.peak_memory_mb() if self.device_used() == "cuda" else None
