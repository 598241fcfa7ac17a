"""Detections that any program wrote to a file, read strictly: every fault is told, at once, and none is repaired.

Formats: the official WIDER FACE text tree (`wider_text`), COCO results and JSONL (`coco_json`), and the labels that
YOLO programs write (`yolo_text`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...datasets import Dataset
from ...datasets.box_format import BoxFormat
from ...datasets.regular_files import begin_of
from ...errors import DataError, UsageError
from .coco_json import read_coco, read_lines
from .intake import Fault, Intake, image_size
from .wider_text import read_tree
from .yolo_text import are_labels, read_labels

Format = Literal["wider", "coco", "jsonl", "yolo"]
BOX_FORMATS: Mapping[Format, BoxFormat] = MappingProxyType(
    {
        "wider": BoxFormat("xywh"),
        "coco": BoxFormat("xywh"),
        "jsonl": BoxFormat("xyxy"),
        "yolo": BoxFormat("cxcywh", "1"),
    }
)
"""How the boxes of each format are read unless it is said otherwise."""
_LARGEST_HEAD = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a program detected in the images of a data set.

    Attributes:
        name: of the file or folder.
        source: its name with that of the folder it lies in, which tells two of one name apart.
        format: how it was written.
        rows: image_id -> float64 (n, 5): x1, y1, x2, y2, score, best first, for every image it has, in the data
            set's order. Sizes are not negative; numbers are as written, not rounded.
        missing: images of the data set that it lacks, and that count as without detections.
        extra: names in it that mean no image of the data set; dropped.
        outside: how many images it has of the whole data set outside the part that is scored; dropped.
        box_format: how the four numbers of its boxes were read.
        path: where it lies; the name of no file where that is not known.
        silent: images without a file, in a format where that says that nothing was found in them.
    """

    name: str
    source: str
    format: Format
    rows: Mapping[str, NDArray[np.float64]]
    missing: Sequence[str] = ()
    extra: Sequence[str] = ()
    outside: int = 0
    box_format: BoxFormat | None = None
    path: Path = Path()
    silent: int = 0

    @property
    def scores(self) -> NDArray[np.float64]:
        """All scores, float64 (n,)."""
        return np.concatenate([np.empty(0), *(rows[:, 4] for rows in self.rows.values())])


def read_predictions(
    path: Path,
    dataset: Dataset,
    *,
    format: Format | None = None,
    images: Path | None = None,
    allow_missing: bool = False,
    box_format: BoxFormat | None = None,
) -> Predictions:
    """Read predictions for a data set.

    Args:
        path: a folder, zip, JSON or JSONL file.
        dataset: whose images they are for. Predictions for images of the whole set outside a subset are dropped and
            counted: whoever scores a subset knows that there are others.
        format: how it is written; by default seen from the content.
        images: a COCO file that says which image a number in `image_id` means.
        allow_missing: accept images without predictions, and predictions for images that the data set lacks.
        box_format: how the four numbers of a box are read, where not as `BOX_FORMATS` says.

    Raises:
        UsageError: there is no such file, or its format cannot be told.
        DataError: something is wrong with it; the message lists all that is.
    """
    if not path.exists():
        raise UsageError(f"there is no {path}; expected a folder or file of predictions")
    chosen = format or detect_format(path)
    if images is not None and chosen != "coco":
        raise UsageError(f"--images explains the numbers of COCO results; {path} is read as {chosen}")
    image_ids = [sample.image_id for sample in dataset.samples]
    as_read = box_format or BOX_FORMATS[chosen]
    samples = {sample.image_id: sample for sample in dataset.samples} if as_read.scale else {}
    intake = Intake(image_ids, dataset.others, as_read, lambda image_id: image_size(samples[image_id]), dataset.ids)
    if chosen == "wider":
        read_tree(path, intake)
    elif chosen == "coco":
        read_coco(path, intake, images)
    elif chosen == "yolo":
        read_labels(path, intake)
    else:
        read_lines(path, intake)

    missing = [image_id for image_id in image_ids if image_id not in intake.rows]
    if not intake.rows and not intake.faults:
        got = (
            ", ".join(name + _several(intake, name) for name in list(intake.extra)[:3])
            or f"{len(intake.outside):,} images outside the part that is scored"
        )
        raise DataError(f"Got {got} in {path}, expected predictions for {dataset.name}, {dataset.coverage}")
    silent = missing if chosen == "yolo" else []
    intake.rows |= {image_id: np.empty((0, 5)) for image_id in silent}
    missing = [] if silent else missing
    if not allow_missing:
        _add_missing(intake, missing)
    if intake.faults:
        raise DataError(_refusal(path, chosen, dataset, intake))
    return Predictions(
        name=path.resolve().name,
        source="/".join(path.resolve().parts[-2:]),
        format=chosen,
        rows={image_id: _best_first(intake.rows[image_id]) for image_id in image_ids if image_id in intake.rows},
        missing=tuple(missing),
        extra=tuple(intake.extra),
        outside=len(intake.outside),
        box_format=as_read,
        path=path.resolve(),
        silent=len(silent),
    )


def detect_format(path: Path) -> Format:
    """Tell the format from the content.

    Raises:
        UsageError: it is none of the known ones.
        DataError: it cannot be read.
    """
    if path.is_dir():
        return "yolo" if are_labels(path) else "wider"
    try:
        head = begin_of(path, _LARGEST_HEAD)
    except OSError as error:
        raise DataError(f"Got {error.strerror or error} at {path}, expected a file of predictions") from error
    if head.startswith(b"PK"):
        return "yolo" if are_labels(path) else "wider"
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if begin.startswith(b"["):
        return "coco"
    if begin.startswith(b"{"):
        return "jsonl" if begin[1:].lstrip()[:1] == b"}" or _is_line(begin) else "coco"
    got = f"a file that begins with {begin[:20]!r}" if begin else "an empty file"
    raise UsageError(
        f"{path}: got {got}, expected the official WIDER FACE tree (a folder or zip of <event>/<image>.txt), labels "
        "of YOLO (likewise), COCO "
        f"results (a JSON list) or JSONL (an object a line). Say which by --format {'|'.join(get_args(Format))}"
    )


def _is_line(begin: bytes) -> bool:
    """Say whether a JSON object is that of one image, and not a whole COCO document."""
    return b'"annotations"' not in begin and (b'"boxes"' in begin or b'"images"' not in begin)


def _add_missing(intake: Intake, missing: Sequence[str]) -> None:
    """Note what is missing and what is too much; say so where it is one image with a mangled name."""
    mangled = {image_id.rstrip(".jpg"): image_id for image_id in missing if image_id.endswith(".jpg")}
    for image_id in missing:
        intake.faults.add(Fault.MISSING, image_id)
    for name in intake.extra:
        meant = mangled.get(name)
        hint = f" (is it {meant}? rstrip('.jpg') eats characters of a name)" if meant not in (None, name) else ""
        intake.faults.add(Fault.EXTRA, name + (hint or _several(intake, name)))


def _several(intake: Intake, name: str) -> str:
    """The images that a name could mean, where there are several."""
    several = intake.candidates(name)
    return f" (it could be {' or '.join(several[:3])}{' or others' if several[3:] else ''})" if several else ""


def _refusal(path: Path, chosen: Format, dataset: Dataset, intake: Intake) -> str:
    faults = intake.faults
    allowed = {Fault.MISSING, Fault.EXTRA}
    remedy = "Fix the file and score it again."
    if faults.kinds() & allowed:
        also = "" if faults.kinds() <= allowed else "; the other faults must be fixed"
        remedy += (
            " --allow-missing counts images without predictions as images in which nothing was found, and drops "
            f"those that the data set does not have{also}."
        )
    if Fault.NEGATIVE in faults.kinds() and intake.otherwise:
        remedy += (
            f" Boxes are read as {intake.box_format.meaning}; read as {intake.otherwise[0]}, none has a negative size: "
        )
        remedy += f"is that what they are? --box-format {intake.otherwise[0]} reads them so."
    return (
        f"{path} (read as {chosen}) cannot be scored on {dataset.name}, {dataset.coverage}; faults: {len(faults):,}\n"
        f"{faults.text()}\n{remedy}"
    )


def _best_first(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sort by score; equal scores keep the file's order, which the official protocol goes by."""
    return rows[np.argsort(-rows[:, 4], kind="stable")]
