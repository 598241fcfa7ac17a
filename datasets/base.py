"""What detectors are measured on: images with annotated faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .regular_files import read_regular


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The annotated faces of one image.

    Attributes:
        boxes: float32 (n, 4): x1, y1, x2, y2 in pixels, continuous, origin top-left, as annotated (not clipped).
        ignore: bool (n,): faces that are neither to be found nor background when all faces are scored.
        attributes: name -> int8 (n,). Membership of an official list ("easy", "medium", "hard") is one of them, 0 or 1.
        emotions: int8 (n,) or None: an index into `fer.EMOTIONS`, -1 for an expression that is none of them.
        crowd: bool (n,) or None where there are none: regions that hold faces nobody annotated one by one, such as
            COCO's `iscrowd`. A region is in `ignore` too.

    Raises:
        DataError: on a wrong dtype or shape, on a box that is not finite, or a region that is not in `ignore`.
    """

    boxes: NDArray[np.float32]
    ignore: NDArray[np.bool_]
    attributes: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)
    emotions: NDArray[np.int8] | None = None
    crowd: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        _check("boxes", self.boxes, np.float32, (n, 4))
        _check("ignore", self.ignore, np.bool_, (n,))
        for name, values in self.attributes.items():
            _check(name, values, np.int8, (n,))
        if self.emotions is not None:
            _check("emotions", self.emotions, np.int8, (n,))
        if self.crowd is not None:
            _check("crowd", self.crowd, np.bool_, (n,))
            if (self.crowd & ~self.ignore).any():
                raise DataError("got a crowd region that is not to be ignored, expected crowd to imply ignore")
        if not np.isfinite(self.boxes).all():
            raise DataError("boxes of annotated faces must be finite")

    def __len__(self) -> int:
        return len(self.boxes)


def crowd_regions(faces: Sequence[Faces]) -> NDArray[np.bool_] | None:
    """Return `Faces.crowd` of many images laid end to end, bool (faces,); None where none has a region."""
    if not any(one.crowd is not None and one.crowd.any() for one in faces):
        return None
    return np.concatenate([np.zeros(len(one), np.bool_) if one.crowd is None else one.crowd for one in faces])


def _check(name: str, array: NDArray[np.generic], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise DataError(f"{name} must be {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")


class StoredImage(Protocol):
    """An encoded image that is not a file of its own: a member of an archive, or the content of an address.

    An object says where the bytes are and holds none of them: it is small, can be pickled, and can be read in another
    process. Its string is how messages name it.
    """

    def read(self) -> bytes:
        """Return the encoded bytes.

        Raises:
            OSError: they cannot be read, or are not those that were listed.
        """
        ...


Source = Path | bytes | StoredImage
"""Where an encoded image is: a file, the bytes themselves, or something that reads them."""


def read_source(source: Source) -> bytes:
    """Return the encoded bytes of an image.

    Raises:
        OSError: they cannot be read, or not all of them, see `regular_files`.
    """
    if isinstance(source, bytes):
        return source
    return read_regular(source) if isinstance(source, Path) else source.read()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sample:
    """One image and its faces.

    Attributes:
        image_id: stable and unique in its data set, such as "0--Parade/0_Parade_marchingband_1_20.jpg".
        source: the image file, which need not exist where only the annotation was asked for, its encoded bytes, or
            where else they can be read from.
        faces: the annotated faces.
        size: width and height as the annotation says them; None where it does not.
    """

    image_id: str
    source: Source
    faces: Faces
    size: tuple[int, int] | None = None

    def __repr__(self) -> str:
        # the bytes of an image would fill a notebook
        where = f"{len(self.source):,} bytes" if isinstance(self.source, bytes) else str(self.source)
        return f"Sample({self.image_id!r}, {where}, {len(self.faces)} faces)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset:
    """Annotated images under one name.

    Attributes:
        name: as given to `datasets.load`, such as "wider-face:val?sample=100&seed=1".
        samples: the images that are there.
        total: how many images the whole set has; more than len(samples) where only part is there or was asked for.
        lists: attributes that mark the faces of an official evaluation list, in order; empty where there is none.
        demo: true where results must not be taken for a comparison (few people, composed images).
        description: one sentence on what the images are and what a score on them can say.
        licence: the terms of the images.
        fingerprint: hash over image bytes and annotation; equal fingerprints mean equal data.
        notes: what was noticed in the annotation, one sentence each (boxes of zero size, images without a file).
        others: image_ids of the whole set that are not among the samples.
        missing: image_id -> what is known of its file, of annotated images of a folder that were looked for in vain.
        box_format: how the four numbers of a box were read, see `box_format`; "" where their format leaves no choice.
        ids: what the annotation itself calls an image -> image_id; empty where it has no ids.
    """

    name: str
    samples: tuple[Sample, ...]
    total: int
    lists: tuple[str, ...]
    demo: bool
    description: str
    licence: str
    fingerprint: str
    notes: tuple[str, ...] = ()
    others: frozenset[str] = frozenset()
    missing: Mapping[str, str] = field(default_factory=dict)
    box_format: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        faces = sum(len(sample.faces) for sample in self.samples)
        return f"Dataset({self.name!r}, {self.coverage}, {faces:,} faces)"

    @property
    def coverage(self) -> str:
        """Say how much of the set this is: "130 of 3,226 images", or "60 images" where it is whole.

        The sentence stands beside every number made from this data set.
        """
        if len(self.samples) == self.total:
            return f"{self.total:,} images"
        return f"{len(self.samples):,} of {self.total:,} images"
