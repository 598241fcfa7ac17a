"""`fer2013:train|validate|test|public|private`: FER2013 as a data set, each image one face that fills it.

The crops are tight and 48 pixels wide, so several detectors find no face in them; `expression-scenes` is for those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..base import Dataset, Faces, Sample
from ..fingerprints import fingerprint
from ..query import check_options, whole_number
from ..scenes.layers import encode_png
from .fer import EMOTIONS, load_fer

OPTIONS = ("sample", "seed")
LICENCE = "FER2013: for research; the images belong to their owners"

_WHAT = {
    "train": "its training part without the tenth set aside for validation",
    "validate": "the tenth of its training part that the study set aside",
    "test": "its PublicTest and PrivateTest",
    "public": "its PublicTest, to choose by",
    "private": "its PrivateTest, to report once",
}


def load(root: Path, split: str, options: Mapping[str, str], name: str) -> Dataset:
    """Load one split.

    Args:
        root: see `load_fer`.
        split: one of `fer.SPLITS`.
        options: `sample` (so many images, drawn with `seed`).
        name: the whole name, kept in the result.

    Returns:
        Grey PNG images of 48x48 pixels with one box around all of it. `emotions` counts in `fer.EMOTIONS`.

    Raises:
        UsageError: on an unknown option or a bad value.
        DataError: where the data are missing or cannot be read.
    """
    check_options(options, OPTIONS, f"fer2013:{split}")
    seed = whole_number(options, "seed", 0, least=0)
    wanted = whole_number(options, "sample", 0, least=1)
    images = load_fer(root, split)
    total = len(images)
    if 0 < wanted < total:
        drawn = np.zeros(total, bool)
        drawn[np.random.default_rng(seed).choice(total, wanted, replace=False)] = True
        images = images.where(drawn)
    samples = face_samples(images.names, images.images, images.labels)
    counts = np.bincount(images.labels, minlength=len(EMOTIONS))
    return Dataset(
        name=name,
        samples=samples,
        total=total,
        lists=(),
        demo=False,
        description=f"FER2013, {_WHAT[split]}: grey 48x48 crops with one of seven emotions each, noisily labelled.",
        licence=LICENCE,
        fingerprint=fingerprint(samples, ()),
        notes=(
            f"Images of each emotion: {', '.join(f'{e} {n:,}' for e, n in zip(EMOTIONS, counts, strict=True))}.",
            "FER2013 holds many photographs several times, across its splits too; datasets.duplicates finds them.",
        ),
    )


def face_samples(names: Sequence[str], images: NDArray[np.uint8], labels: NDArray[np.int8]) -> tuple[Sample, ...]:
    """Make a sample of every grey image, uint8 (n, h, w): one face that fills it, with its emotion."""
    height, width = images.shape[1:]
    box = np.array([[0, 0, width, height]], np.float32)
    return tuple(
        Sample(name, encode_png(image), Faces(box, np.zeros(1, bool), emotions=labels[i : i + 1]))
        for i, (name, image) in enumerate(zip(names, images, strict=True))
    )
