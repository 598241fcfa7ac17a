"""`fddb`: news photographs with faces as ellipses, from the official layout.

Jain, Learned-Miller: FDDB: A Benchmark for Face Detection in Unconstrained Settings, UM-CS-2010-009, 2010. A face is
the ellipse that holds it, from the top of the head to the chin; its box here is the smallest upright one around the
ellipse. Boxes of WIDER FACE begin at the forehead and are tighter, so an IoU of 0.5 is harsher here for detectors that
learned those; FDDB's own measure compares ellipses, and its numbers are not these.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import AnnotationError, DataError, MissingDataError, UsageError
from ..base import Dataset, Faces, Sample
from ..fingerprints import fingerprint
from ..query import check_options, draw, whole_number
from ..regular_files import read_regular_text

OPTIONS = ("folds", "sample", "seed")
FOLDS = 10

_PARENTS = ("", "fddb", "FDDB")
_IMAGES = ("originalPics", "")
_NAME = re.compile(r"[\w./-]+")
_REMEDY = (
    "Run `facebench data fetch fddb`, or unpack originalPics.tar.gz into a folder originalPics and FDDB-folds.tgz "
    "beside it, and name the folder around both by --data or FACEBENCH_DATA."
)


def load(root: Path, options: Mapping[str, str], name: str, *, annotation_only: bool = False) -> Dataset:
    """Load the annotated images that are there.

    Args:
        root: the folder that holds FDDB-folds and originalPics, or the parent of such a folder named fddb.
        options: `folds` ("1,2": only these of the ten), `sample` (so many images, drawn with `seed`).
        name: the whole name, kept in the result.
        annotation_only: take every annotated image, whether its file is there or not, and open none.

    Raises:
        UsageError: on an unknown option or fold.
        DataError: where images or annotation are missing.
        AnnotationError: where the annotation contradicts itself; names file and line.
    """
    check_options(options, OPTIONS, "fddb")
    seed = whole_number(options, "seed", 0, least=0)
    wanted = whole_number(options, "sample", 0, least=1)
    home = next((root / p for p in _PARENTS if (root / p / "FDDB-folds").is_dir()), None)
    if home is None:
        raise MissingDataError(f"Got a folder {root} without FDDB-folds, expected FDDB. {_REMEDY}")
    boxes: dict[str, NDArray[np.float64]] = {}
    for fold in _folds(options.get("folds")):
        read = read_ellipses(home / "FDDB-folds" / f"FDDB-fold-{fold:02d}-ellipseList.txt")
        twice = next((one for one in read if one in boxes), None)
        if twice is not None:
            raise AnnotationError(f"Got {twice} in two folds of {home}, expected each image in one.")
        boxes |= read
    paths = {one: _image(home, one) for one in boxes}
    there = [one for one, path in paths.items() if annotation_only or path.is_file()]
    if not there:
        raise DataError(f"Got none of the {len(boxes):,} annotated images under {home}. {_REMEDY}")
    notes = []
    if len(there) < len(boxes):
        notes.append(f"{len(boxes) - len(there):,} of {len(boxes):,} annotated images have no file.")
    chosen = draw(there, wanted, seed)
    samples = tuple(Sample(f"{one}.jpg", paths[one], _faces(boxes[one])) for one in chosen)
    return Dataset(
        name=name,
        samples=samples,
        total=len(boxes),
        lists=(),
        demo=False,
        description="FDDB: news photographs; boxes around ellipses that reach from the top of the head to the chin.",
        licence="FDDB: made for research; the images belong to their owners",
        fingerprint=fingerprint(samples, (), images=not annotation_only),
        notes=tuple(notes),
        others=frozenset(f"{one}.jpg" for one in boxes).difference(f"{one}.jpg" for one in chosen),
    )


def read_ellipses(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read one `FDDB-fold-xx-ellipseList.txt`.

    For every image the file has its name, the number of faces and one row per face: radius along the major axis, radius
    along the minor axis, angle of the major axis to the horizontal in radians, centre x, centre y, 1.

    Returns:
        Name without ".jpg" -> float64 (n, 4): x1, y1, x2, y2 in pixels.

    Raises:
        AnnotationError: where the file contradicts its format; names file and line.
        DataError: where it cannot be read.
    """
    try:
        lines = read_regular_text(path).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Got {error} at {path}, expected a fold of FDDB. {_REMEDY}") from error
    while lines and not lines[-1].strip():
        lines.pop()
    found: dict[str, NDArray[np.float64]] = {}
    at = 0
    while at < len(lines):
        name = lines[at].strip()
        if not _NAME.fullmatch(name) or "/" not in name or ".." in name or name.startswith("/") or name in found:
            raise AnnotationError(
                f"{path}:{at + 1}: got {name[:60]!r}, expected an image such as 2002/08/11/big/img_591."
            )
        count = lines[at + 1].strip() if at + 1 < len(lines) else ""
        if not count.isdecimal() or len(count) > 9:
            raise AnnotationError(f"{path}:{at + 2}: got {count[:60]!r}, expected the number of faces of {name}.")
        first = at + 2
        at = first + int(count)
        rows = [_row(lines, i, path) for i in range(first, at)]
        found[name] = np.array([box_of_ellipse(*row[:5]) for row in rows], np.float64).reshape(-1, 4)
    return found


def box_of_ellipse(major: float, minor: float, angle: float, x: float, y: float) -> tuple[float, float, float, float]:
    """Return the smallest upright box around an ellipse: x1, y1, x2, y2.

    Args:
        major: radius along the major axis, in pixels.
        minor: radius along the minor axis.
        angle: of the major axis to the horizontal, in radians.
        x: of the centre.
        y: of the centre.

    >>> [round(edge, 9) for edge in box_of_ellipse(20, 10, 0, 100, 50)]
    [80.0, 40.0, 120.0, 60.0]
    >>> [round(edge, 9) for edge in box_of_ellipse(20, 10, math.pi / 2, 100, 50)]
    [90.0, 30.0, 110.0, 70.0]
    """
    across = math.hypot(major * math.cos(angle), minor * math.sin(angle))
    down = math.hypot(major * math.sin(angle), minor * math.cos(angle))
    return x - across, y - down, x + across, y + down


def _row(lines: Sequence[str], at: int, path: Path) -> list[float]:
    text = lines[at].strip() if at < len(lines) else "the end of the file"
    try:
        values = [float(token) for token in text.split()]
    except ValueError:
        values = []
    if len(values) != 6 or not all(map(math.isfinite, values)) or min(values[:2]) <= 0:
        raise AnnotationError(f"{path}:{at + 1}: got {text[:60]!r}, expected two radii, an angle, a centre and 1.")
    return values


def _folds(text: str | None) -> list[int]:
    if text is None:
        return list(range(1, FOLDS + 1))
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= FOLDS for part in parts) or len(set(parts)) < len(parts):
        raise UsageError(f"Got folds={text}, expected some of 1 to {FOLDS}, such as folds=1,2.")
    return [int(part) for part in parts]


def _image(home: Path, name: str) -> Path:
    paths = [home / folder / f"{name}.jpg" for folder in _IMAGES]
    return next((path for path in paths if path.is_file()), paths[0])


def _faces(boxes: NDArray[np.float64]) -> Faces:
    return Faces(boxes.astype(np.float32), np.zeros(len(boxes), bool))
