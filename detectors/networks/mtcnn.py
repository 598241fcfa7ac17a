"""The three networks of MTCNN in PyTorch, and the cascade over them (Zhang et al., IEEE SPL 2016).

The arithmetic is that of the package mtcnn 1.0.0 throughout, so that both give the same boxes: how images shrink, how
candidates are cut out, corrected and suppressed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import grid_sample, max_pool2d, pad

from ...errors import ModelStoreError
from ..base import Device, RGBImage

_PYRAMID = 0.709
"""Each level is smaller by this factor: about half the pixels."""
_WINDOW = 12
"""Pixels that the first network sees, at every second one."""
_AT_ONCE = 1024
"""Candidates that a network or a comparison takes together; more would take gigabytes where crowds are in a batch."""


class Shape(NamedTuple):
    """What distinguishes the three networks.

    Attributes:
        channels: of each convolution.
        kernels: side of each.
        pools: side of the maximum taken after each, at every second place; 0 for none.
        dense: inputs and outputs of the layer behind them, or None where the heads are convolutions too.
        heads: name -> outputs; the first gives two, whose softmax is the probability of a face.
    """

    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    pools: tuple[int, ...]
    dense: tuple[int, int] | None
    heads: dict[str, int]


_SHAPES = (
    Shape((10, 16, 32), (3, 3, 3), (2, 0, 0), None, {"conv4_1": 2, "conv4_2": 4}),
    Shape((28, 48, 64), (3, 3, 2), (3, 3, 0), (576, 128), {"dense5_1": 2, "dense5_2": 4}),
    Shape((32, 64, 64, 128), (3, 3, 3, 2), (3, 3, 2, 0), (1152, 256), {"dense6_1": 2, "dense6_2": 4, "dense6_3": 10}),
)


class MtcnnNetwork(nn.Module):
    """One of the three; its layers are named as in the files of facenet-pytorch."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape
        inputs = 3
        for number, (outputs, kernel) in enumerate(zip(shape.channels, shape.kernels, strict=True), 1):
            self.add_module(f"conv{number}", nn.Conv2d(inputs, outputs, kernel))
            self.add_module(f"prelu{number}", nn.PReLU(outputs))
            inputs = outputs
        if shape.dense:
            number = len(shape.channels) + 1
            self.add_module(f"dense{number}", nn.Linear(*shape.dense))
            self.add_module(f"prelu{number}", nn.PReLU(inputs := shape.dense[1]))
        for name, outputs in shape.heads.items():
            self.add_module(name, nn.Linear(inputs, outputs) if shape.dense else nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the probability of a face (n, …), then the other heads (n, outputs, …)."""
        for number, side in enumerate(self._shape.pools, 1):
            x = self._layer(f"conv{number}", f"prelu{number}", x)
            if side:
                x = max_pool2d(x, side, 2, ceil_mode=True)
        if self._shape.dense:
            number = len(self._shape.pools) + 1
            # the weights expect columns before rows, as in Caffe's port from MATLAB
            x = self._layer(f"dense{number}", f"prelu{number}", x.permute(0, 3, 2, 1).flatten(1))
        classes, *others = (self.get_submodule(name)(x) for name in self._shape.heads)
        return (classes.softmax(1)[:, 1], *others)

    def _layer(self, name: str, activation: str, x: Tensor) -> Tensor:
        out: Tensor = self.get_submodule(activation)(self.get_submodule(name)(x))
        return out


class Proposals(NamedTuple):
    """What one stage hands to the next: image (n,), boxes (n, 4) in pixels of it, probabilities (n,); on the host."""

    image: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def only(self, keep: NDArray[np.integer] | NDArray[np.bool_]) -> Proposals:
        """Return some of them."""
        return Proposals(self.image[keep], self.boxes[keep], self.scores[keep])


_NONE = Proposals(np.empty(0, np.int64), np.empty((0, 4), np.float32), np.empty(0, np.float32))


class Cascade:
    """The networks one after the other, over images of one size.

    Args:
        files: the weights of P-Net, R-Net and O-Net.
        device: where the networks run.
        min_face_size: smallest face, pixels.
        thresholds: probability that each network demands.

    Raises:
        ModelStoreError: a file does not hold the weights.
    """

    def __init__(
        self, files: Sequence[Path], device: Device, min_face_size: int, thresholds: tuple[float, float, float]
    ) -> None:
        self.networks = [_load(shape, file).to(device) for shape, file in zip(_SHAPES, files, strict=True)]
        self._device = device
        self._min_face_size = min_face_size
        self._thresholds = thresholds

    def __call__(self, images: Sequence[RGBImage]) -> list[tuple[NDArray[np.float32], ...]]:
        """Return boxes (n, 4), probabilities (n,) and landmarks (n, 5, 2) of each image."""
        with torch.inference_mode():
            stacked = torch.from_numpy(np.stack(images)).to(self._device)
            pixels = (stacked.permute(0, 3, 1, 2).float() - 127.5) / 128
            found, points = self._refine(2, pixels, self._refine(1, pixels, self._propose(pixels))[0])
        return [
            (found.boxes[here], found.scores[here], points[here])
            for here in (found.image == index for index in range(len(images)))
        ]

    def _propose(self, pixels: Tensor) -> Proposals:
        kept = [_NONE]
        for scale in pyramid(min(pixels.shape[2:]), self._min_face_size):
            level = self._level(pixels, scale)
            kept.append(level.only(suppress(level, 0.5)))
        found = Proposals(*(np.concatenate(parts) for parts in zip(*kept, strict=True)))
        return found.only(suppress(found, 0.7))

    def _level(self, pixels: Tensor, scale: float) -> Proposals:
        height, width = (int(side * scale) for side in pixels.shape[2:])
        scores, offsets = self.networks[0](shrink(shrink(pixels, height, 2), width, 3))
        image, row, column = torch.nonzero(scores >= self._thresholds[0], as_tuple=True)
        corner = torch.stack([column, row], dim=1) * 2 + 1
        side = _WINDOW - 1
        boxes = torch.cat([corner, corner + side], dim=1) + side * offsets[image, :, row, column]
        return Proposals(*(part.cpu().numpy() for part in (image, boxes / scale, scores[image, row, column])))

    def _refine(self, stage: int, pixels: Tensor, given: Proposals) -> tuple[Proposals, NDArray[np.float32]]:
        boxes = _squares(given.boxes)
        patches = _cut_out(pixels, given.image, boxes, 24 * stage)
        answers = [
            [head.cpu().numpy() for head in self.networks[stage](patches[start : start + _AT_ONCE])]
            for start in range(0, max(1, len(patches)), _AT_ONCE)
        ]
        scores, offsets, *points = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        sizes = np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)
        found = Proposals(given.image, boxes + offsets * sizes, scores)
        keep = np.flatnonzero(scores >= self._thresholds[stage])
        keep = keep[suppress(found.only(keep), 0.7, of_smaller=stage == 2)]
        landmarks = np.empty((len(keep), 5, 2), np.float32)
        if points:
            # five x before five y
            places = points[0][keep].reshape(-1, 2, 5).transpose(0, 2, 1)
            landmarks = boxes[keep, None, :2] + places * sizes[keep, None, :2] - 1
        return found.only(keep), landmarks


def _load(shape: Shape, file: Path) -> MtcnnNetwork:
    network = MtcnnNetwork(shape).eval()
    try:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:
        raise ModelStoreError(f"{file} does not hold the weights of a network of MTCNN: {error}") from error
    return network


def pyramid(side: int, min_face_size: int) -> Iterator[float]:
    """Give the factors by which an image shrinks, so that a face of each size fills the first network's window once.

    Args:
        side: the shorter one of the image, pixels; levels go on until it is shorter than the window.
        min_face_size: smallest face, pixels.
    """
    scale = _WINDOW / min_face_size
    while side * scale >= _WINDOW:
        yield scale
        scale *= _PYRAMID


def shrink(pixels: Tensor, size: int, axis: int) -> Tensor:
    """Average over the area that each new pixel covers along one axis, fractions of pixels included.

    As INTER_AREA of OpenCV and AREA of TensorFlow; PyTorch's own mode "area" takes whole pixels. A sum over an area is
    the difference of two running sums.
    """
    length = pixels.shape[axis]
    edges = torch.arange(size + 1, device=pixels.device) * (length / size)
    low = edges.long().clamp(max=length - 1)
    sums = pad(pixels, (1, 0) if axis == 3 else (0, 0, 1, 0)).cumsum(axis)
    part = (edges - low).view(-1, *(1,) * (3 - axis))
    at_edges = torch.lerp(sums.index_select(axis, low), sums.index_select(axis, low + 1), part)
    return at_edges.diff(dim=axis) * (size / length)


def _squares(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return squares around the centres, as large as the longer sides."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True, initial=0) / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def _cut_out(pixels: Tensor, image: NDArray[np.int64], boxes: NDArray[np.float32], side: int) -> Tensor:
    """Return the pixels in boxes, interpolated at side × side places: (n, 3, side, side); 0 outside of the image.

    As `tf.image.crop_and_resize` does, given corners over height and width.
    """
    steps = torch.linspace(0, 1, side, device=pixels.device)
    patches = [pixels.new_empty((0, 3, side, side))]
    scale = np.tile(np.array(pixels.shape[:1:-1], np.float32), 2)
    for index in np.unique(image):
        corners = torch.from_numpy(2 * boxes[image == index] / scale - 1).to(pixels.device)
        left, top, right, bottom = corners.T[..., None]
        x, y = left + (right - left) * steps, top + (bottom - top) * steps
        grid = torch.stack([x[:, None, :].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], dim=-1)
        inside = (grid.abs() <= 1).all(dim=-1)
        here = grid_sample(pixels[index : index + 1], grid.view(1, -1, side, 2), align_corners=True)
        patches.append(here.view(3, -1, side, side).permute(1, 0, 2, 3) * inside[:, None])
    return torch.cat(patches)


def suppress(given: Proposals, threshold: float, of_smaller: bool = False) -> NDArray[np.int64]:
    """Return the indices of those that overlap no better one of their image by more, whether that one stays or not.

    Args:
        given: candidates.
        threshold: intersection over union, or over the smaller box.
        of_smaller: over the smaller box.
    """
    kept = [np.empty(0, np.int64)]
    for index in np.unique(given.image):
        here = np.flatnonzero(given.image == index)
        here = here[np.argsort(-given.scores[here], kind="stable")]
        lost = np.zeros(len(here), np.bool_)
        for start in range(0, len(here), _AT_ONCE):
            boxes = given.boxes[here[start:]]
            rows, areas = boxes[:_AT_ONCE, None], np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
            shared = np.minimum(rows[..., 2:], boxes[:, 2:]) - np.maximum(rows[..., :2], boxes[:, :2])
            both = np.prod(np.maximum(shared, 0), axis=2)
            mine = areas[:_AT_ONCE, None]
            whole = np.minimum(mine, areas) if of_smaller else mine + areas - both
            lost[start:] |= np.triu(both > threshold * whole, 1).any(axis=0)
        kept.append(here[~lost])
    return np.concatenate(kept)
