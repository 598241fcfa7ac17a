"""A data set with every image degraded: `wider-face:val?degrade=blur:3`.

Images are made when they are decoded, in the process that does it; nothing is stored. Licence, lists, labels and
image_ids are those of the data set underneath, so that results are compared image by image.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ...errors import UsageError
from ..base import Dataset, Faces, Sample, Source, read_source
from ..images import DEFAULT_MAX_PIXELS, decode, upright_size
from ..query import whole_number
from .degradations import GEOMETRIC, VERSION, Degradation, degrade_faces, degrade_image, encode

OPTIONS = frozenset(("degrade", "degrade_seed"))


@dataclass(frozen=True, slots=True, eq=False)
class DegradedImage:
    """An image that is degraded when it is read.

    Attributes:
        source: the image as it is.
        faces: its faces as annotated.
        degradation: what is done to it.
        image_id: of the image.
        seed: of what is drawn at random.
    """

    source: Source
    faces: Faces
    degradation: Degradation
    image_id: str
    seed: int

    def read(self) -> bytes:
        """Return the encoded bytes; those of the image as it is where they cannot be decoded.

        Raises:
            OSError: they cannot be read, or the image is too large for what is to be done.
        """
        import cv2

        data = read_source(self.source)
        decoded = decode(data)
        image = decoded.image
        if decoded.verdict == "too large":  # a higher limit of the caller's must not let it through as it is
            raise OSError(f"too large to be degraded, which is done to at most {DEFAULT_MAX_PIXELS:,} pixels")
        if image is None:
            return data
        try:
            done = degrade_image(image, self.faces, self.degradation, image_id=self.image_id, seed=self.seed)
            return encode(done, self.degradation)
        except cv2.error as error:
            height, width = image.shape[:2]
            raise OSError(f"{self.degradation} of {width}×{height} pixels is not possible: {error.err}") from error

    def __str__(self) -> str:
        name = f"{len(self.source):,} bytes" if isinstance(self.source, bytes) else str(self.source)
        return f"{name} ({self.degradation})"


def degrade(dataset: Dataset, degradation: Degradation, seed: int = 0) -> Dataset:
    """Return the data set with every image degraded.

    The fingerprint is made of that of the data set, the degradation, the seed and the version of the degradations: no
    image is opened for it. Where an image's size cannot be read its faces stay as they are; it is left out of any
    run.

    Args:
        dataset: with its images, since turned faces lie where the size of the image says.
        degradation: what is done to every image.
        seed: of what is drawn at random.
    """
    link = "&" if "?" in dataset.name else "?"
    options = f"degrade={degradation}" + (f"&degrade_seed={seed}" if seed else "")
    identity = f"{dataset.fingerprint}/{degradation}/{seed}/{VERSION}"
    return replace(
        dataset,
        name=f"{dataset.name}{link}{options}",
        samples=tuple(_degraded(sample, degradation, seed) for sample in dataset.samples),
        description=f"{dataset.description} Every image degraded: {degradation.words}.",
        fingerprint=hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
    )


def take_options(options: dict[str, str], *, annotation_only: bool) -> tuple[Degradation, int]:
    """Take the options of this module, of which there is at least one, out of those of a data set.

    Raises:
        UsageError: on a bad value, a seed without a degradation, or where no image is to be opened.
    """
    seed = whole_number(options, "degrade_seed", 0, least=0)
    options.pop("degrade_seed", None)
    if "degrade" not in options:
        raise UsageError(f"Got degrade_seed={seed} without degrade, expected both, as in degrade=noise:3.")
    degradation = Degradation.parse(options.pop("degrade"))
    if annotation_only:
        raise UsageError(
            f"Got degrade={degradation} for predictions from a file, which were made on images that facebench did "
            "not degrade. Score them on the data set as it is."
        )
    return degradation, seed


def _degraded(sample: Sample, degradation: Degradation, seed: int) -> Sample:
    faces, name = sample.faces, sample.image_id
    size = upright_size(sample.source) if degradation.kind in GEOMETRIC else None
    if size is not None:
        faces = degrade_faces(faces, size, degradation, image_id=name, seed=seed)
    return Sample(name, DegradedImage(sample.source, sample.faces, degradation, name, seed), faces)
