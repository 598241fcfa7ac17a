"""The RetinaFace MobileNet0.25 network, its BatchNorms folded, and the two kinds of weights that fit it.

Needs torch and retinaface-pytorch.
"""

from __future__ import annotations

from pathlib import Path

import torch
from retinaface.net import FPN, SSH, conv_bn, conv_dw
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...errors import ModelStoreError

_DEPTHWISE = (
    ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)),
    ((64, 128, 2), (128, 128, 1), (128, 128, 1), (128, 128, 1), (128, 128, 1), (128, 128, 1)),
    ((128, 256, 2), (256, 256, 1)),
)
_ONNX_HEADS = {"class_head": "ClassHead", "bbox_head": "BboxHead", "landmark_head": "LandmarkHead"}


class Body(nn.Module):
    """MobileNet v1 at a quarter of its width, cut after strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        stages = [[conv_dw(*shape) for shape in stage] for stage in _DEPTHWISE]
        self.stage1 = nn.Sequential(conv_bn(3, 8, 2, leaky=0.1), *stages[0])
        self.stage2 = nn.Sequential(*stages[1])
        self.stage3 = nn.Sequential(*stages[2])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the three feature maps."""
        first = self.stage1(x)
        second = self.stage2(first)
        return {"1": first, "2": second, "3": self.stage3(second)}


class Head(nn.Module):
    """A 1×1 convolution that gives `width` numbers to each prior."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.conv1x1 = nn.Conv2d(64, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, priors, width)."""
        numbers: Tensor = self.conv1x1(x)
        return numbers.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.width)


class Network(nn.Module):
    """Body, feature pyramid, context modules and heads; the names are those of the original state file."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Body()
        self.fpn = FPN([64, 128, 256], 64)
        self.ssh1, self.ssh2, self.ssh3 = SSH(64, 64), SSH(64, 64), SSH(64, 64)
        self.ClassHead = nn.ModuleList(Head(2) for _ in range(3))
        self.BboxHead = nn.ModuleList(Head(4) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(Head(10) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return locations (batch, n, 4), face probabilities (batch, n) and landmarks (batch, n, 10)."""
        pyramid = self.fpn(self.body(x))
        features = [ssh(level) for ssh, level in zip((self.ssh1, self.ssh2, self.ssh3), pyramid, strict=True)]
        locations, classes, points = (
            torch.cat([head(feature) for head, feature in zip(heads, features, strict=True)], dim=1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return locations, classes.softmax(dim=-1)[..., 1], points


def build_network() -> Network:
    """Return the network in inference mode, weights still random."""
    return Network().eval()


def load_state_file(network: Network, file: Path) -> None:
    """Load an original .pth state file and fold its BatchNorms.

    Raises:
        ModelStoreError: the file is not a state file of this network.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    except Exception as error:
        raise ModelStoreError(f"{file} does not hold the weights of RetinaFace MobileNet0.25: {error}") from error
    _fold_batch_norms(network)


def load_onnx_weights(network: Network, file: Path) -> None:
    """Load the convolutions of the ONNX file, whose BatchNorms are folded already.

    Raises:
        ModelStoreError: the graph is not this network.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(file)).graph
    constants = {constant.name: constant for constant in graph.initializer}
    _fold_batch_norms(network)
    body = iter([name for name, module in network.body.named_modules() if isinstance(module, nn.Conv2d)])
    state = {}
    for node in graph.node:
        # conv5X5_1 is written twice, once for each branch that reads it
        if node.op_type != "Conv" or node.name.endswith("_1/Conv"):
            continue
        target = f"body.{next(body)}" if node.name.startswith("/fx/") else _module_name(node.name)
        for suffix, name in zip(("weight", "bias"), node.input[1:], strict=True):
            state[f"{target}.{suffix}"] = torch.from_numpy(numpy_helper.to_array(constants[name]).copy())
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelStoreError(f"{file} is not the graph of RetinaFace MobileNet0.25: {error}") from error


def _module_name(node: str) -> str:
    """Translate "/ssh1/conv3X3/conv3X3.0/Conv" to "ssh1.conv3X3.0", and the heads likewise."""
    parts = node.strip("/").split("/")[:-1]
    if parts[0] in _ONNX_HEADS:
        return f"{_ONNX_HEADS[parts[0]]}.{parts[-1].rpartition('.')[2]}.conv1x1"
    return f"{parts[0]}.{parts[-1]}"


def _fold_batch_norms(module: nn.Module) -> None:
    """Fold every BatchNorm into the convolution before it, throughout."""
    for child in module.children():
        if isinstance(child, nn.Sequential):
            for index in range(len(child) - 1):
                convolution, norm = child[index], child[index + 1]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    child[index] = fuse_conv_bn_eval(convolution, norm)
                    child[index + 1] = nn.Identity()
        _fold_batch_norms(child)
