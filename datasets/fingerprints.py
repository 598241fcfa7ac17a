"""The hash that says whether two data sets are the same data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import DataError
from .base import Sample, Source, read_source
from .regular_files import RefusedFileError, open_regular


def fingerprint(samples: Iterable[Sample], lists: Iterable[str], *, images: bool = True) -> str:
    """Hash the image bytes, the annotation and the scored lists, in order.

    Every byte of every image is read: size and date would not notice an image that was saved again.

    Args:
        samples: the images.
        lists: the scored lists.
        images: hash the images too; without them the hash stands for the annotation alone.

    Returns:
        32 hexadecimal digits.

    Raises:
        DataError: where an image cannot be read.
    """
    whole = hashlib.blake2b(digest_size=16)

    def add(part: bytes) -> None:
        whole.update(len(part).to_bytes(8, "little"))
        whole.update(part)

    add(",".join(lists).encode())
    if not images:
        add(b"annotation only")
    for sample in samples:
        add(sample.image_id.encode())
        if images:
            add(_image_digest(sample.source))
        faces = sample.faces
        arrays = {"boxes": faces.boxes, "ignore": faces.ignore, **dict(sorted(faces.attributes.items()))}
        if faces.emotions is not None:
            arrays["emotions"] = faces.emotions
        if faces.crowd is not None and faces.crowd.any():
            arrays["crowd"] = faces.crowd
        for name, values in arrays.items():
            add(name.encode())
            add(np.ascontiguousarray(values).tobytes())
    return whole.hexdigest()


def _image_digest(source: Source) -> bytes:
    try:
        if isinstance(source, Path):
            with open_regular(source) as file:
                return hashlib.file_digest(file, hashlib.blake2b).digest()
        return hashlib.blake2b(read_source(source)).digest()
    except RefusedFileError as error:  # no detector is given it
        return hashlib.blake2b(str(error).encode()).digest()
    except OSError as error:
        raise DataError(f"Got {error.strerror or error} at {source!s}, expected an image file to read.") from error
