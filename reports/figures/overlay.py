"""Copies of images with boxes drawn in, for `facebench detect`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.measure.previews import encode_jpeg
from ...benchmarks.store.run_folder import write_atomically
from ...datasets.storage.names import COPY_MARK
from ...detectors import RGBImage
from ...emotions.pipeline.overlay import draw_boxes
from ...errors import ResultsError

_OVERLAY_QUALITY = 90


def write_overlay(image: RGBImage, boxes: NDArray[np.float32], path: Path) -> Path:
    """Write a JPEG copy of an image with boxes drawn in.

    Args:
        image: RGB uint8 (h, w, 3); left as it is.
        boxes: (n, 4): x1, y1, x2, y2 in pixels; what lies outside the image is cut.
        path: where to write; its folder is made.

    Raises:
        ResultsError: it cannot be written there, or the image is too large for JPEG.
    """
    return write_jpeg(draw_boxes(image, boxes), path)


def write_jpeg(image: RGBImage, path: Path) -> Path:
    """Write an image as JPEG, marked as a copy that `facebench detect` wrote.

    Args:
        image: RGB uint8 (h, w, 3).
        path: where to write; its folder is made.

    Raises:
        ResultsError: it cannot be written there, or the image is too large for JPEG.
    """
    height, width = image.shape[:2]
    try:
        data = encode_jpeg(image, (width, height), _OVERLAY_QUALITY, COPY_MARK)
    except (OSError, ValueError) as error:
        raise ResultsError(f"cannot write {path}: {width}×{height} pixels are too many for JPEG ({error})") from error
    write_atomically(path, data)
    return path
