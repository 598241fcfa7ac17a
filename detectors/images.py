"""What users hand over as an image, distinguished before a detector fails on it with a message of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

T = TypeVar("T")


def check_image(image: object) -> None:
    """Check what stands for an image at a border where users enter; workers get arrays of ours and need no check.

    Args:
        image: should be uint8 (height, width, 3), RGB, with pixels in it.

    Raises:
        UsageError: it is anything else; for an image of Pillow's the message says how to convert it.
    """
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        if image.size:
            return
        got = f"uint8 {image.shape}"
        do = "it has no pixels; look at what cut it out, or leave it out"
    elif isinstance(image, np.ndarray):
        got = f"{image.dtype} {image.shape}"
        do = "convert grey, alpha or other channels first, and scale to 0 to 255"
    elif hasattr(image, "convert") and hasattr(image, "mode"):
        got = f"{type(image).__module__}.{type(image).__name__} of mode {image.mode}"
        do = 'give numpy.asarray(image.convert("RGB"))'
    else:
        got = type(image).__name__
        do = "read a file with facebench.datasets.decode(path).image"
    raise UsageError(f"got {got} as an image, expected uint8 (height, width, 3), RGB: {do}")


def run_together(
    images: Sequence[NDArray[np.uint8]],
    run: Callable[[list[NDArray[np.uint8]]], list[T]],
    size_of: Callable[[NDArray[np.uint8]], Hashable] = np.shape,
) -> list[T]:
    """Give a network the images of each size at once.

    Args:
        images: of any sizes.
        run: returns an answer for each of some images of one size.
        size_of: what is equal where two images can go together.

    Returns:
        The answers in the images' order.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, image in enumerate(images):
        groups.setdefault(size_of(image), []).append(place)
    found: dict[int, T] = {}
    for places in groups.values():
        found.update(zip(places, run([images[place] for place in places]), strict=True))
    return [found[place] for place in range(len(images))]
