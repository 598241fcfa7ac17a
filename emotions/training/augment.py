"""Random changes to a batch of face images: mirrored, turned, scaled, shifted, relit, partly covered, mixed.

Every draw comes from the generator that is passed in, so a batch can be drawn again bit for bit. All functions take and
return float32 (n, 1, h, w) in grey levels 0..255.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

_EQUAL_CONTRAST = 50.0
"""Standard deviation in grey levels that mixed images are scaled to, so that neither drowns the other."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far training images are changed; 0 turns a change off.

    Attributes:
        mirror: probability that an image is mirrored.
        rotation_deg: largest angle either way.
        scale: largest factor is 1 + scale, the smallest 1 / (1 + scale).
        stretch: the same for width against height.
        shift: largest shift either way, as a share of the side.
        gamma: largest exponent of the grey curve is 1 + gamma, the smallest 1 / (1 + gamma).
        erase: probability that a rectangle is covered (Zhong et al., AAAI 2020).
        erase_area: largest share of the image that it covers.
    """

    mirror: float = 0.5
    rotation_deg: float = 10.0
    scale: float = 0.1
    stretch: float = 0.05
    shift: float = 0.06
    gamma: float = 0.2
    erase: float = 0.5
    erase_area: float = 0.15


def augment(images: Tensor, how: Augmentation, random: Generator) -> Tensor:
    """Return one changed version of each image."""
    return erase(relight(move(images, how, random), how, random), how, random)


def move(images: Tensor, how: Augmentation, random: Generator) -> Tensor:
    """Mirror, turn, scale, stretch and shift in one bilinear resampling; beyond the border the image is reflected."""
    n = len(images)
    angle = _symmetric(n, random) * math.radians(how.rotation_deg)
    scale = torch.exp(_symmetric(n, random) * math.log1p(how.scale))
    stretch = torch.exp(_symmetric(n, random) * math.log1p(how.stretch) / 2)
    mirror = torch.where(_uniform(n, random) < how.mirror, -1.0, 1.0)
    shift = 2 * how.shift * torch.stack([_symmetric(n, random), _symmetric(n, random)], dim=1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # from places in the new image to places in the old one, both in -1..1
    turn = torch.stack(
        [
            torch.stack([mirror * cos / (scale * stretch), -mirror * sin / (scale * stretch), shift[:, 0]], dim=1),
            torch.stack([sin * stretch / scale, cos * stretch / scale, shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(turn.to(images.device), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def relight(images: Tensor, how: Augmentation, random: Generator) -> Tensor:
    """Bend the grey curve of each image; brightness and contrast are left, because the networks undo both."""
    if how.gamma == 0:
        return images
    exponent = torch.exp(_symmetric(len(images), random) * math.log1p(how.gamma)).to(images.device)
    return 255 * (images / 255).clamp(0, 1) ** exponent[:, None, None, None]


def erase(images: Tensor, how: Augmentation, random: Generator) -> Tensor:
    """Cover a rectangle of some images with their mean grey; a part of it may lie outside."""
    n, _, height, width = images.shape
    area = how.erase_area * _uniform(n, random)
    aspect = torch.exp(_symmetric(n, random) * math.log(3.0))
    half_height = (area * aspect).sqrt() * height / 2
    half_width = (area / aspect).sqrt() * width / 2
    y, x = _uniform(n, random) * height, _uniform(n, random) * width
    chosen = _uniform(n, random) < how.erase
    rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    inside_rows = (rows[None] - y[:, None]).abs() < half_height[:, None]
    inside_columns = (columns[None] - x[:, None]).abs() < half_width[:, None]
    covered = (inside_rows[:, :, None] & inside_columns[:, None, :] & chosen[:, None, None])[:, None]
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(covered.to(images.device), mean, images)


def mixup(images: Tensor, targets: Tensor, alpha: float, random: Generator) -> tuple[Tensor, Tensor]:
    """Mix each image with another of the batch, and their targets (n, classes) alike (Zhang et al., ICLR 2018).

    The share is one draw a batch from Beta(alpha, alpha). Images are scaled to equal contrast first.
    """
    share = _beta(alpha, random)
    partner = torch.randperm(len(images), generator=random).to(images.device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    deviation = images.std(dim=(1, 2, 3), keepdim=True).clamp(min=1.0)
    equal = 127.5 + (images - mean) * (_EQUAL_CONTRAST / deviation)
    return equal.lerp(equal[partner], 1 - share), targets.lerp(targets[partner], 1 - share)


def _uniform(n: int, random: Generator) -> Tensor:
    return torch.rand(n, generator=random)


def _symmetric(n: int, random: Generator) -> Tensor:
    return 2 * torch.rand(n, generator=random) - 1


def _beta(alpha: float, random: Generator) -> float:
    """Draw from Beta(alpha, alpha) by Johnk's method, which needs nothing but uniform numbers."""
    while True:
        x, y = (torch.rand(2, generator=random, dtype=torch.float64) ** (1 / alpha)).tolist()
        if 0 < x + y <= 1:
            return float(x / (x + y))
