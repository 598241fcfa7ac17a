"""What the figures share: their images, colours, axes without ticks, boxes, and files that stay small."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageColor

from ...datasets import Faces
from ...datasets.scenes.backgrounds import load_backgrounds
from ...datasets.scenes.layers import paste
from ...datasets.scenes.portraits import load_portraits
from ...datasets.scenes.scenes import compose, stand

Pixels = NDArray[np.uint8]
"""RGB, uint8 (height, width, 3)."""

GREY = 128
"""Of the plain ground behind a portrait."""

BLUE, ORANGE, GREEN, RED = "#0173b2", "#de8f05", "#029e73", "#d55e00"
DPI = 100
COLOURS = 96
"""In a file's palette: few enough for a small file, enough for two portraits."""


def scene(number: int) -> tuple[Pixels, Faces]:
    """Return one image of the data set `scenes`, and its faces."""
    found: tuple[Pixels, Faces] = compose(0, number, load_portraits(), load_backgrounds())
    return found


def face_of_height(pixels: float, width: int, height: int) -> tuple[Pixels, NDArray[np.float64]]:
    """Put the portrait of Eileen Collins in the middle of a plain image.

    Args:
        pixels: height of the face, hair line to chin; head and shoulders are three times as high and have to fit in.
        width: of the image, pixels.
        height: of the image, pixels.

    Returns:
        The image, and the box of the face: float64 (4,), x1, y1, x2, y2.
    """
    layer, box = stand(load_portraits()[1], pixels, 0.0, mirrored=False, sigma=0.0)
    image = np.full((height, width, 3), GREY, np.uint8)
    x, y = (width - layer.shape[1]) // 2, (height - layer.shape[0]) // 2
    paste(image, layer, x, y)
    return image, box + np.array([x, y, x, y])


def panels(columns: int, width: float, height: float, ratios: Sequence[float] | None = None) -> tuple[Figure, Any]:
    """Return a figure with a row of axes; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, squeeze=False, width_ratios=ratios)[0]


def show(axes: Axes, image: ArrayLike, title: str, **options: Any) -> None:
    """Show an image with pixel borders at whole numbers, as boxes count them."""
    height, width = np.shape(image)[:2]
    axes.imshow(np.asarray(image), extent=(0, width, height, 0), **({"cmap": "gray"} | options))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=9)


def boxes(axes: Axes, rows: Iterable[Sequence[float]], colour: str, width: float = 1.2, alpha: float = 1.0) -> None:
    """Draw boxes x1, y1, x2, y2."""
    patches = [Rectangle((x1, y1), x2 - x1, y2 - y1) for x1, y1, x2, y2 in rows]
    axes.add_collection(
        PatchCollection(patches, facecolor="none", edgecolor=colour, linewidth=width, alpha=alpha), autolim=False
    )


def legend(axes: Axes, entries: Iterable[tuple[str, str]]) -> None:
    """Explain colours."""
    handles = [Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=colour, linewidth=2) for colour, _ in entries]
    axes.legend(handles, [text for _, text in entries], fontsize=8, loc="lower right")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG with a palette, the same bytes every time."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    image = Image.open(drawn).convert("RGB")
    # the thin lines keep their colours, which a palette made for the portraits would not
    fixed = [
        value for colour in (BLUE, ORANGE, GREEN, RED, "#000000", "#ffffff") for value in ImageColor.getrgb(colour)
    ]
    most = image.quantize(COLOURS, dither=Image.Dither.NONE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(fixed + most[: 3 * COLOURS])
    reduced = image.quantize(palette=palette, dither=Image.Dither.NONE)
    path.parent.mkdir(parents=True, exist_ok=True)
    reduced.save(path, format="PNG", optimize=True)
