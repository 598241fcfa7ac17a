"""What users hand over as an image."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from facebench.detectors.images import check_image
from facebench.errors import UsageError
from PIL import Image

EXPECTED = " as an image, expected uint8 (height, width, 3), RGB: "


@pytest.mark.parametrize(
    ("given", "got", "do"),
    [
        (None, "NoneType", "facebench.datasets.decode(path).image"),
        ("photo.jpg", "str", "decode(path)"),
        (Path("photo.jpg"), "PosixPath", "decode(path)"),
        (b"bytes", "bytes", "decode(path)"),
        ([[[0, 0, 0]]], "list", "decode(path)"),
        (Image.new("RGB", (4, 3)), "PIL.Image.Image of mode RGB", 'give numpy.asarray(image.convert("RGB"))'),
        (Image.new("L", (4, 3)), "PIL.Image.Image of mode L", 'give numpy.asarray(image.convert("RGB"))'),
        (np.zeros((3, 4), np.uint8), "uint8 (3, 4)", "convert grey, alpha"),
        (np.zeros((3, 4, 4), np.uint8), "uint8 (3, 4, 4)", "convert grey, alpha"),
        (np.zeros((1, 3, 4, 3), np.uint8), "uint8 (1, 3, 4, 3)", "convert"),
        (np.zeros((3, 4, 3), np.float32), "float32 (3, 4, 3)", "scale to 0 to 255"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 (0, 4, 3)", "it has no pixels"),
        (np.zeros((4, 4, 3), np.uint8)[:, 2:2], "uint8 (4, 0, 3)", "it has no pixels"),
    ],
)
def test_what_is_no_image(given, got, do):
    with pytest.raises(UsageError, match=re.escape(f"got {got}{EXPECTED}")) as caught:
        check_image(given)
    assert do in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 4, 3)])
def test_what_the_message_advises_is_a_image(shape):
    check_image(np.zeros(shape, np.uint8))
    check_image(np.zeros(shape, np.uint8)[::-1, ::-1, ::-1])
    check_image(np.asarray(Image.new("L", shape[:2]).convert("RGB")))
