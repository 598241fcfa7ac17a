"""RetinaFace with a MobileNet0.25 body in PyTorch, on the blocks of retinaface-pytorch (Deng et al., CVPR 2020).

The package's own network knows the ResNet-50 body only and needs torchvision; its blocks need torch alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DeviceError, UsageError
from ..base import Detections, Detector, DetectorInfo, Device, RGBImage
from ..models import store as model_store
from ..process import devices
from ..process.per_process import lost_its_threads
from ..process.thread_counts import own_process
from .retinaface_common import OPERATING_THRESHOLD, by_size, check_thresholds, decode, network_input, priors

_STORED_WEIGHTS = {"onnx": "retinaface-onnx", "pth": "retinaface-pth"}


class RetinaFace(Detector):
    """The network at the size of the picture.

    PyTorch has one number of threads for the whole process, which is set in a process of the detector's own only. A
    forked child does not have PyTorch's threads, which it would wait for forever: the number becomes 1 there.

    Args:
        weights: "onnx" (the values of the file that `retinaface-onnx` runs), "pth" (the original PyTorch weights
            from the model store), or the path of a .pth file with the same layout.
        confidence: probability from which a box is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
    """

    info = DetectorInfo(
        name="retinaface",
        family="single-stage CNN",
        package="retinaface-pytorch",
        licence="MIT",
        score_kind="probability",
        devices=("cpu", "cuda"),
        landmarks=True,
        reference="Deng et al.: RetinaFace: Single-shot Multi-level Face Localisation in the Wild, CVPR 2020",
        operating_threshold=OPERATING_THRESHOLD,
        score_floor=0.02,
    )
    requires = ("torch", "retinaface.net")
    extra = "retinaface"
    must_load = ("cv2",)
    reference_scores = (0.999, 0.999)

    def __init__(
        self,
        *,
        weights: str = "onnx",
        confidence: float = OPERATING_THRESHOLD,
        nms_threshold: float = 0.4,
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
    ) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor, operating_threshold=confidence)
        import torch

        from .retinaface_network import build_network, load_onnx_weights, load_state_file

        if own_process():
            torch.set_num_threads(threads)
        _do_without_lost_threads(torch)
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError(f"PyTorch {torch.__version__} finds no CUDA device; install its CUDA build, or use cpu")
        self._nms_threshold = nms_threshold
        file = model_store.fetch(_STORED_WEIGHTS[weights]) if weights in _STORED_WEIGHTS else Path(weights)
        network = build_network()
        if weights == "onnx":
            load_onnx_weights(network, file)
        else:
            load_state_file(network, file)
        self._network = network.to(device)

    @classmethod
    def mend_packages(cls) -> str:
        """retinaface-pytorch pins an old torch, so no resolver can install it."""
        return "pip install 'facebench[retinaface]' && pip install --no-deps retinaface-pytorch"

    @classmethod
    def model_names(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the stored weights, or nothing where the caller brings a file."""
        stored = _STORED_WEIGHTS.get(parameters["weights"])
        return (stored,) if stored else ()

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges, and that the weights exist."""
        check_thresholds("retinaface", parameters["confidence"], parameters["nms_threshold"])
        weights = parameters["weights"]
        if weights not in _STORED_WEIGHTS and not Path(weights).is_file():
            raise UsageError(f"retinaface:weights={weights}: expected onnx, pth or the path of an existing .pth file")

    def detect(self, image: RGBImage) -> Detections:
        """Run the network; scores are filtered on the device, the rest is decoded on the host."""
        return self._detect_same_size([image])[0]

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Run the pictures of each size through the network at once."""
        return by_size(images, self._detect_same_size)

    def _detect_same_size(self, images: list[RGBImage]) -> list[Detections]:
        import torch

        _do_without_lost_threads(torch)
        height, width = images[0].shape[:2]
        with torch.inference_mode():
            batch = torch.from_numpy(network_input(*images)).to(self.device)
            devices.synchronise(self.device)
            self.clock.inference()
            locations, scores, points = self._network(batch)
            devices.synchronise(self.device)
            self.clock.post()
            keep = scores >= self.score_floor
            offsets, kept, landmarks, rows = (
                tensor.cpu().numpy() for tensor in (locations[keep], scores[keep], points[keep], keep)
            )
        ends = np.cumsum(rows.sum(axis=1))[:-1]
        parts = zip(np.split(offsets, ends), np.split(kept, ends), np.split(landmarks, ends), rows, strict=True)
        return [
            decode(boxes, probabilities, faces, priors(height, width)[row], (height, width), self._nms_threshold)
            for boxes, probabilities, faces, row in parts
        ]

    def device_used(self) -> Device:
        """Read where the weights lie."""
        return "cuda" if next(self._network.parameters()).is_cuda else "cpu"

    def threads_used(self) -> int | None:
        """Read PyTorch's thread count."""
        import torch

        return int(torch.get_num_threads())

    def device_memory_mb(self) -> float | None:
        """Read the peak of PyTorch's allocator; the CUDA context is not in it."""
        import torch

        return torch.cuda.max_memory_allocated(self.device) / 2**20 if self.device_used() == "cuda" else None


def _do_without_lost_threads(torch: Any) -> None:
    if lost_its_threads("PyTorch") and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
