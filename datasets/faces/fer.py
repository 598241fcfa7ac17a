"""FER2013 in the three forms in which people have it: class folders, a zip of them, and `fer2013.csv`.

Goodfellow et al.: Challenges in Representation Learning: A report on three machine learning contests, ICONIP 2013.
35,887 grey faces of 48x48 pixels, found by a web search for words of feeling and labelled by people, who agree with the
labels in about 65 of 100 cases.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import AnnotationError, DataError, MissingDataError, UsageError, did_you_mean
from ..regular_files import open_regular
from .class_folders import CLASS_FOLDERS, Entry, list_folder, list_zip, read_grey

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
USAGES = ("Training", "PublicTest", "PrivateTest")
PARTS = ("train", "validate", "test")
SPLITS = {"train": "train", "validate": "validate", "test": "test", "public": "PublicTest", "private": "PrivateTest"}
SIDE = 48

# fer2013.csv counts the classes in another order than the alphabet, which sets the order of the folders.
_CSV_ORDER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_LABEL_OF_CSV = {str(i): EMOTIONS.index(name) for i, name in enumerate(_CSV_ORDER)}
_GREY_OF_TEXT = {str(value): value for value in range(256)}
_PART_OF_FOLDER = {
    **{f"{prefix}{part}": part for part in PARTS for prefix in ("", "kaggle_dataset_")},
    "val": "validate",
    "validation": "validate",
}
_BELOW = ("", "fer2013", "fer")
_ZIPS = ("fer_kaggle_split.zip", "fer2013.zip")
_REMEDY = (
    "Give a folder with train, validate and test (or kaggle_dataset_train and so on), in each the folders "
    f"{', '.join(EMOTIONS)}; or a zip of it; or fer2013.csv."
)


@dataclass(frozen=True, slots=True, eq=False)
class FerImages:
    """Images of FER2013 as arrays.

    Attributes:
        names: stable and unique, n of them: "kaggle_dataset_train/happy/Training_1.jpg", or "fer2013.csv/00002", which
            is the line in the file.
        images: uint8 (n, 48, 48), grey.
        labels: int8 (n,), an index into `EMOTIONS`.
        usage: str (n,), FER2013's own split, one of `USAGES`; "" where a file name does not tell it.
        part: str (n,), how the study split the images, one of `PARTS`: "test" is PublicTest and PrivateTest together,
            "validate" a tenth of Training. A csv does not know which tenth: there all of Training is "train".

    Raises:
        DataError: where the arrays do not fit together.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.int8]
    usage: NDArray[np.str_]
    part: NDArray[np.str_]

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.images.dtype != np.uint8 or self.images.shape != (n, SIDE, SIDE):
            got = f"{self.images.dtype} {self.images.shape}"
            raise DataError(f"images must be uint8 {(n, SIDE, SIDE)}, got {got}")
        if self.labels.dtype != np.int8 or not all(len(a) == n for a in (self.labels, self.usage, self.part)):
            raise DataError(f"labels (int8), usage and part must have {n} entries, as many as there are names")
        if n and not 0 <= self.labels.min() <= self.labels.max() < len(EMOTIONS):
            raise DataError(f"labels must lie in 0 to {len(EMOTIONS) - 1}")

    def __len__(self) -> int:
        return len(self.names)

    def where(self, mask: NDArray[np.bool_]) -> FerImages:
        """The images at which a mask, bool (n,), is true."""
        mask = np.asarray(mask)
        if mask.shape != (len(self),) or mask.dtype != np.bool_:
            raise DataError(f"Got a mask of {mask.dtype} {mask.shape}, expected bool ({len(self)},).")
        return self.where_at(np.flatnonzero(mask))

    def where_at(self, chosen: NDArray[np.int64]) -> FerImages:
        """The images at these indices, in their order."""
        return FerImages(
            tuple(self.names[i] for i in chosen),
            self.images[chosen],
            self.labels[chosen],
            self.usage[chosen],
            self.part[chosen],
        )

    def is_in(self, split: str) -> NDArray[np.bool_]:
        """Which images belong to a split, bool (n,).

        Args:
            split: "train", "validate" or "test" as the study split them, "public" or "private" as FER2013 did.

        Raises:
            UsageError: on another name.
        """
        check_split(split)
        return np.asarray((self.part if split in PARTS else self.usage) == SPLITS[split])

    def split(self, name: str) -> FerImages:
        """The images of one split; see `is_in`.

        Raises:
            UsageError: on a name that is not one of `SPLITS`.
            DataError: where there is no image of this split.
        """
        mask = self.is_in(name)
        if not mask.any():
            raise DataError(_why_empty(name))
        return self.where(mask)


def load_fer(path: Path, split: str | None = None) -> FerImages:
    """Read all images or those of one split, sorted by name (a csv in its own order).

    Args:
        path: a folder with class folders, a zip of such a folder (it is never unpacked), fer2013.csv, or a folder in
            which one of them lies under its usual name.
        split: one of `SPLITS`; the other images are not opened.

    Raises:
        UsageError: on another name of a split.
        DataError: where nothing of this kind is there, a class folder is missing, or images cannot be read or have
            another size; all of them are counted, the first ones named.
        AnnotationError: on a bad row of a csv, with its line.
    """
    if split is not None:
        check_split(split)
    path = _find(Path(path))
    if path.is_file() and path.suffix.lower() == ".csv":
        images = _read_csv(path)
        return images if split is None else images.split(split)
    entries = list_folder(path, 3) if path.is_dir() else list_zip(path, 3)
    return _read_entries(path, [entry for entry in entries if entry.parents[0] in _PART_OF_FOLDER], split)


def check_split(split: str) -> None:
    """Raise UsageError where FER2013 has no such split."""
    if split not in SPLITS:
        raise UsageError(f"FER2013 has no split {split!r}. {did_you_mean(split, SPLITS)}")


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    for below in _BELOW:
        folder = path / below
        if any((folder / part).is_dir() for part in _PART_OF_FOLDER):
            return folder
        for file in (*_ZIPS, "fer2013.csv"):
            if (folder / file).is_file():
                return folder / file
    raise MissingDataError(f"Got {path}, in which there is no FER2013. {_REMEDY}")


def _read_entries(path: Path, entries: Sequence[Entry], split: str | None) -> FerImages:
    folders: dict[str, set[str]] = {}
    for entry in entries:
        folders.setdefault(entry.parents[0], set()).add(entry.parents[1])
    if not folders:
        raise DataError(f"Got {path} without an image in folders of parts and classes. {_REMEDY}")
    for folder, classes in folders.items():
        missing, unknown = sorted(set(EMOTIONS) - classes), sorted(classes - set(EMOTIONS))
        if missing or unknown:
            got = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(unknown)}"] * bool(unknown)
            raise DataError(f"Got {folder} {' and '.join(got)} in {path}. {CLASS_FOLDERS}: {', '.join(EMOTIONS)}.")
    if split is not None:
        of = _part if split in PARTS else _usage
        entries = [entry for entry in entries if of(entry) == SPLITS[split]]
        if not entries:
            raise DataError(_why_empty(split))
    return FerImages(
        tuple(entry.name for entry in entries),
        read_grey(path, entries, SIDE),
        np.array([EMOTIONS.index(entry.parents[1]) for entry in entries], np.int8),
        np.array([_usage(entry) for entry in entries], "U11"),
        np.array([_part(entry) for entry in entries], "U8"),
    )


def _part(entry: Entry) -> str:
    return _PART_OF_FOLDER[entry.parents[0]]


def _usage(entry: Entry) -> str:
    """FER2013's own split, which the file names begin with; "" where they do not."""
    begin = entry.name.rpartition("/")[2].partition("_")[0]
    return begin if begin in USAGES else ""


def _read_csv(path: Path) -> FerImages:
    names, images, labels, usages = [], bytearray(), [], []
    for line, (label, pixels, usage) in _rows(path):
        if label not in _LABEL_OF_CSV:
            raise AnnotationError(f"{path}:{line}: got emotion {label[:20]!r}, expected a number from 0 to 6.")
        if usage not in USAGES:
            raise AnnotationError(f"{path}:{line}: got Usage {usage[:20]!r}, expected {', '.join(USAGES)}.")
        values = pixels.split()
        if len(values) != SIDE * SIDE:
            raise AnnotationError(f"{path}:{line}: got {len(values):,} pixels, expected {SIDE} x {SIDE} = 2,304.")
        try:
            images += bytes(map(_GREY_OF_TEXT.__getitem__, values))
        except KeyError as error:
            got = str(error.args[0])[:20]
            raise AnnotationError(f"{path}:{line}: got pixel {got!r}, expected a number from 0 to 255.") from None
        names.append(f"{path.name}/{line:05d}")
        labels.append(_LABEL_OF_CSV[label])
        usages.append(usage)
    if not names:
        raise AnnotationError(f"{path}:2: got no row, expected one for each image.")
    usage_array = np.array(usages, "U11")
    return FerImages(
        tuple(names),
        np.frombuffer(bytes(images), np.uint8).reshape(-1, SIDE, SIDE),
        np.array(labels, np.int8),
        usage_array,
        np.where(usage_array == "Training", "train", "test").astype("U8"),
    )


def _rows(path: Path) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Line number and the fields emotion, pixels, Usage; columns may stand in any order, as in icml_face_data.csv."""
    try:
        with io.TextIOWrapper(open_regular(path), "utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip().lower() for name in next(reader, [])]
            wanted = ("emotion", "pixels", "usage")
            if any(header.count(name) != 1 for name in wanted):
                got = ", ".join(header)[:80] or "an empty file"
                raise AnnotationError(f"{path}:1: got {got}, expected the columns emotion, pixels, Usage.")
            columns = [header.index(name) for name in wanted]
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise AnnotationError(
                        f"{path}:{reader.line_num}: got {len(row)} fields, expected {len(header)} as in the first line."
                    )
                label, pixels, usage = (row[i].strip() for i in columns)
                yield reader.line_num, (label, pixels, usage)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Got {error} at {path}, expected the text of fer2013.csv.") from error


def _why_empty(split: str) -> str:
    if split == "validate":
        return (
            "Got no image of the split validate: it is the tenth of Training that the study set aside, which the "
            "folders kaggle_dataset_validate or validate hold and a csv does not know."
        )
    if split in ("public", "private"):
        return (
            f"Got no image of the split {split}, expected file names that begin with {SPLITS[split]}_ or a csv with "
            "the column Usage."
        )
    return f"Got no image of the split {split}. {_REMEDY}"
