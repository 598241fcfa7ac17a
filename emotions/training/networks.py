"""The networks that were tried, by name: 48x48 grey images to seven logits, small enough for one millisecond a face.

All of them share the first and the last step: each image is scaled to mean 0 and standard deviation 1 inside the
network, so that nobody who calls the exported file can do it differently, and global average pooling ends them.
PyTorch is needed for training only; this module is imported by nothing that classifies.

The widths keep the networks that may be shipped near 50 million multiplications a face: on one core of an AVX-512
machine, ONNX Runtime does about 50 million of them in a millisecond (float32). The two wide ones take about 140 million
and only teach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from ...errors import UsageError, did_you_mean

CLASS_COUNT = 7
SIZE_PX = 48
CONTRAST_FLOOR = 4.0
"""Standard deviation in grey levels below which an image counts as blank and its noise is not amplified."""


class Standardise(nn.Module):
    """Scale each image (n, 1, h, w) of grey levels 0..255 to mean 0 and standard deviation 1."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the standardised images; one below `CONTRAST_FLOOR` is only centred and scaled by that floor."""
        centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
        deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return centred / deviation.clamp(min=CONTRAST_FLOOR)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a short cut (He et al., CVPR 2016), which averages before it projects (ResNet-D)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(channels_in, channels, stride=stride),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        shortcut: list[nn.Module] = [nn.AvgPool2d(2, ceil_mode=True)] if stride == 2 else []
        if channels_in != channels:
            shortcut += [nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def _convolution(channels_in: int, channels: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    ]


def _head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASS_COUNT)]


def residual(*, stem: int, widths: Sequence[int], blocks: Sequence[int], deep: bool = False) -> nn.Sequential:
    """A residual network whose stem halves the image and whose stages after the first halve it again.

    The stem is one 5x5 convolution or, if it is deep, two of 3x3, of which the first sees the whole image.
    """
    if deep:
        layers = [Standardise(), *_convolution(1, stem), *_convolution(stem, stem, stride=2)]
    else:
        layers = [Standardise(), *_convolution(1, stem, kernel=5, stride=2)]
    channels = stem
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for block in range(count):
            stride = 2 if block == 0 and stage > 0 else 1
            layers.append(ResidualBlock(channels, width, stride))
            channels = width
    return nn.Sequential(*layers, *_head(channels))


def plain(*, widths: Sequence[int], convolutions: Sequence[int]) -> nn.Sequential:
    """Stacked 3x3 convolutions with a maximum after each stage (VGG; Khaireddin & Chen 2021 used it on FER2013)."""
    layers: list[nn.Module] = [Standardise()]
    channels = 1
    for stage, (width, count) in enumerate(zip(widths, convolutions, strict=True)):
        if stage:
            layers.append(nn.MaxPool2d(2))
        for _ in range(count):
            layers += _convolution(channels, width)
            channels = width
    return nn.Sequential(*layers, *_head(channels))


NETWORKS: MappingProxyType[str, Callable[[], nn.Sequential]] = MappingProxyType(
    {
        "residual-4": lambda: residual(stem=32, widths=(32, 64, 128, 256), blocks=(1, 1, 2, 1)),
        "residual-3": lambda: residual(stem=32, widths=(32, 64, 160), blocks=(1, 1, 2)),
        "plain-5": lambda: plain(widths=(16, 32, 64, 128, 320), convolutions=(2, 2, 2, 3, 2)),
        "residual-wide": lambda: residual(stem=32, widths=(64, 128, 256), blocks=(1, 1, 2), deep=True),
        "plain-wide": lambda: plain(widths=(32, 64, 128, 256), convolutions=(2, 2, 2, 3)),
    }
)


def create_network(name: str) -> nn.Sequential:
    """Return a freshly initialised network of this name; weights come from torch's global generator.

    Raises:
        UsageError: no network is called so.
    """
    if name not in NETWORKS:
        raise UsageError(f"no emotion network is called {name!r}. {did_you_mean(name, NETWORKS)}")
    return NETWORKS[name]()
