"""RetinaFace with a MobileNet0.25 body in PyTorch, on the blocks of retinaface-pytorch (Deng et al., CVPR 2020).

The package's own network knows the ResNet-50 body only and needs torchvision; its blocks need torch alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DeviceError, UsageError
from . import model_store
from .base import Detections, Detector, DetectorInfo, Device, RGBImage
from .retinaface_common import OPERATING_THRESHOLD, check_thresholds, decode, network_input, priors

_STORED_WEIGHTS = {"onnx": "retinaface-onnx", "pth": "retinaface-pth"}


class RetinaFace(Detector):
    """The network at the size of the picture.

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
        trained_on=("WIDER FACE",),
        reference="Deng et al.: RetinaFace: Single-shot Multi-level Face Localisation in the Wild, CVPR 2020",
        operating_threshold=OPERATING_THRESHOLD,
        score_floor=0.02,
    )
    requires = ("torch", "retinaface.net")
    extra = "retinaface"
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

        torch.set_num_threads(threads)
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
        import torch

        height, width = image.shape[:2]
        with torch.inference_mode():
            batch = torch.from_numpy(network_input(image)).to(self.device)
            locations, scores, points = (output[0] for output in self._network(batch))
            keep = scores > self.score_floor
            offsets, kept, landmarks, rows = (
                tensor.cpu().numpy() for tensor in (locations[keep], scores[keep], points[keep], keep)
            )
        return decode(offsets, kept, landmarks, priors(height, width)[rows], (height, width), self._nms_threshold)

    def device_used(self) -> Device:
        """Read where the weights lie."""
        return "cuda" if next(self._network.parameters()).is_cuda else "cpu"

    def threads_used(self) -> int | None:
        """Read PyTorch's thread count."""
        import torch

        return int(torch.get_num_threads())
