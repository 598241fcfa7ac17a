"""`folder`: annotated images of anybody's own, in one of the formats of `datasets.formats`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..base import Dataset, Faces, Sample
from ..box_format import BoxFormat
from ..box_meaning import likely_meaning
from ..fingerprints import fingerprint
from ..formats.annotated import AnnotatedImage
from ..formats.choice import FORMATS, AnnotatedFolder, Choice, read_folder
from ..images import upright_size
from ..query import check_options, draw, whole_number
from ..storage.remote import Address

CHOICES = ("format", "annotations", "pictures", "images", "category", "split", "box_format")
OPTIONS = (*CHOICES, "sample", "seed")


def choice_of(options: Mapping[str, str]) -> Choice:
    """Return what the options of a name say of a folder."""
    given = {key: options[key] for key in CHOICES if key in options}
    if "pictures" in given:
        given.setdefault("images", given.pop("pictures"))
    return Choice(**given)


def load(place: str | Path, options: Mapping[str, str], name: str, *, annotation_only: bool = False) -> Dataset:
    """Load a folder, an archive, an address, or the images around one annotation file.

    Args:
        place: see `places.open_tree`.
        options: `format`, `annotations`, `images` (also `pictures`), `category`, `split`, `box_format` (see `Choice`);
            `sample` (so many images, drawn with `seed`, in the order of the annotation).
        name: the whole name, kept in the result.
        annotation_only: take every annotated image, whether its file is there or not; no image is opened, and the
            fingerprint is that of the annotation.

    Raises:
        UsageError: on an unknown option or one that does not fit what is there.
        DataError: where nothing is recognised, or images are missing.
        AnnotationError: where the annotation is faulty; names file and line.
    """
    check_options(options, OPTIONS, "folder")
    seed = whole_number(options, "seed", 0, least=0)
    wanted = whole_number(options, "sample", 0, least=1)
    folder = read_folder(place, choice_of(options), need_images=not annotation_only)
    there = [one for one in folder.images if annotation_only or one.name in folder.sources]
    notes = list(folder.notes)
    if wanted > len(there):
        notes.append(f"sample={wanted} asked for more than the {len(there):,} images to draw from; all were taken.")
    chosen = draw(there, wanted, seed)
    samples = tuple(_sample(one, folder) for one in chosen)
    title = FORMATS[folder.format].title
    return Dataset(
        name=name,
        samples=samples,
        total=len(folder.images),
        lists=(),
        demo=False,
        description=f"Images of your own, annotated as {title} ({_short(folder.where)}).",
        licence="not known to facebench: images of your own",
        fingerprint=fingerprint(samples, (), images=not annotation_only),
        notes=(*notes, *notes_on_boxes(chosen, samples, folder.box_format, opened=not annotation_only)),
        others=frozenset(one.name for one in folder.images).difference(one.name for one in chosen),
        missing=folder.missing,
        box_format="" if folder.box_format is None else str(folder.box_format),
        ids=folder.ids,
    )


def notes_on_boxes(
    images: Sequence[AnnotatedImage], samples: Sequence[Sample], as_read: BoxFormat | None, *, opened: bool
) -> tuple[str, ...]:
    """Say what is odd in the boxes of images used: of zero size, repeated, outside, of an image of another size.

    And how they could be meant, where not as they are read; see `likely_meaning`.
    """
    boxes = [sample.faces.boxes for sample in samples]
    zero = sum(int(_of_zero_size(one.boxes).sum()) for one in images)
    twice = sum(len(some) - len(np.unique(some, axis=0)) for some in boxes)
    regions = sum(int(one.crowd.sum()) for one in images if one.crowd is not None)
    outside, turned = 0, 0
    sizes = np.zeros((len(images), 2))
    for index, (image, sample) in enumerate(zip(images, samples, strict=True)):
        # each header behind an address would be another download
        readable = opened and not isinstance(sample.source, Address)
        size = upright_size(sample.source) if readable else None
        sizes[index] = size or image.size or (0, 0)
        if size is None:
            continue
        turned += image.size is not None and image.size != size
        some = sample.faces.boxes
        # half a pixel: what whole numbers can be off by
        outside += int(((some[:, :2] < -0.5).any(axis=1) | (some[:, 2:] > np.array(size) + 0.5).any(axis=1)).sum())
    notes = (
        (zero, "Boxes of zero width or height, which are ignored: {:,}."),
        (regions, "Crowd regions, inside which detections are neither right nor wrong: {:,}."),
        (twice, "Repeated boxes: {:,}."),
        (outside, "Boxes that reach outside their image, kept as annotated: {:,}."),
        (turned, "Images whose upright size is not the one in the annotation (turned by EXIF, or replaced?): {:,}."),
    )
    everything = np.concatenate([np.zeros((0, 4)), *boxes])
    meaning = likely_meaning(everything, np.repeat(sizes, [len(some) for some in boxes], axis=0), as_read)
    return (*(text.format(count) for count, text in notes if count), *filter(None, [meaning]))


def _short(where: str) -> str:
    """The last two parts of a path or address: enough to know it again, and no more of somebody's folders."""
    return "/".join(where.rstrip("/").split("/")[-2:])


def _of_zero_size(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((boxes[:, 2:] <= boxes[:, :2]).any(axis=1))


def _sample(image: AnnotatedImage, folder: AnnotatedFolder) -> Sample:
    boxes = image.boxes.astype(np.float32)
    ignore = image.ignore | _of_zero_size(image.boxes)
    faces = Faces(boxes, ignore, dict(image.attributes), crowd=image.crowd)
    source = folder.sources.get(image.name)
    return Sample(image.name, Path(image.name) if source is None else source, faces, image.size)
