"""`ckplus`: the last frames of CK+, as a check of an emotion classifier on faces of another origin than FER2013's.

Lucey et al.: The Extended Cohn-Kanade Dataset (CK+), CVPR Workshops 2010. Posed expressions in a laboratory, at their
height: 327 images in seven classes, of which contempt is none of FER2013's, and neutral is missing. Scores therefore
count the six classes that both share, 309 images; contempt has the label -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, MissingDataError, UsageError, did_you_mean
from ..base import Dataset
from ..fingerprints import fingerprint
from ..query import check_options
from .class_folders import CLASS_FOLDERS, list_folder, list_zip, read_grey
from .fer import EMOTIONS
from .fer_dataset import face_samples

OPTIONS = ("classes",)
SIDE = 48

_CLASSES = {
    "anger": "angry",
    "contempt": "",
    "disgust": "disgust",
    "fear": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprise",
}
_BELOW = ("", "CKplus_dataset", "ckplus", "ckplus/CKplus_dataset")
_ZIPS = ("ckplus.zip", "CKplus_dataset.zip")


@dataclass(frozen=True, slots=True, eq=False)
class CkImages:
    """Images of CK+ as arrays.

    Attributes:
        names: "happiness/S138_005_00000014.png": class, subject, sequence, frame; n of them.
        images: uint8 (n, 48, 48), grey.
        labels: int8 (n,), an index into `fer.EMOTIONS`, -1 for contempt.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.names)

    def shared(self) -> CkImages:
        """The images of the six classes that FER2013 has too."""
        chosen = np.flatnonzero(self.labels >= 0)
        return CkImages(tuple(self.names[i] for i in chosen), self.images[chosen], self.labels[chosen])


def load_ckplus(path: Path) -> CkImages:
    """Read all images, sorted by name.

    Args:
        path: a folder with the seven class folders, a zip of it (never unpacked), or a folder in which one of them lies
            under its usual name.

    Raises:
        DataError: where none of this is there, a class folder is missing, or images cannot be read.
    """
    path = _find(Path(path))
    entries = list_folder(path, 2) if path.is_dir() else list_zip(path, 2)
    entries = [entry for entry in entries if entry.parents[0] in _CLASSES]
    missing = sorted(set(_CLASSES) - {entry.parents[0] for entry in entries})
    if missing:
        raise DataError(f"Got {path} without {', '.join(missing)}. {CLASS_FOLDERS}: {', '.join(_CLASSES)}.")
    labels = [EMOTIONS.index(_CLASSES[c]) if _CLASSES[c] else -1 for c in (entry.parents[0] for entry in entries)]
    return CkImages(tuple(entry.name for entry in entries), read_grey(path, entries, SIDE), np.array(labels, np.int8))


def load(root: Path, options: Mapping[str, str], name: str) -> Dataset:
    """Load CK+ as a data set: each image one face that fills it.

    Args:
        root: see `load_ckplus`.
        options: `classes`, "all" (as without it) or "shared": the six classes that FER2013 has too.
        name: the whole name, kept in the result.

    Raises:
        UsageError: on an unknown option or a bad value.
        DataError: where the data are missing or cannot be read.
    """
    check_options(options, OPTIONS, "ckplus")
    classes = options.get("classes", "all")
    if classes not in ("all", "shared"):
        raise UsageError(f"Got classes={classes}, expected all or shared. {did_you_mean(classes, ('all', 'shared'))}")
    whole = load_ckplus(root)
    images = whole.shared() if classes == "shared" else whole
    samples = face_samples(images.names, images.images, images.labels)
    return Dataset(
        name=name,
        samples=samples,
        total=len(whole),
        lists=(),
        demo=False,
        description="CK+, last frames: posed expressions in a laboratory; six classes are also FER2013's.",
        licence="CK+: for research under its authors' agreement",
        fingerprint=fingerprint(samples, ()),
        notes=(
            f"{int((whole.labels < 0).sum())} of {len(whole)} images show contempt, which FER2013 does not have "
            "(label -1); neutral is missing here.",
        ),
    )


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    for folder in (path / below for below in _BELOW):
        if (folder / "happiness").is_dir():
            return folder
    for file in (path / below / file for below in ("", "ckplus") for file in _ZIPS):
        if file.is_file():
            return file
    raise MissingDataError(
        f"Got {path}, in which there is no CK+. {CLASS_FOLDERS}: {', '.join(_CLASSES)}; or a zip of them."
    )
