"""Parts of a data set to score by themselves: faces of a kind, or images of a kind.

A slice of faces is scored like an official list of WIDER FACE: all other faces are ignored, neither missed nor a false
alarm when found. False alarms belong to no face and stay whole, so AP and precision fall as a slice gets smaller:
compare detectors on one slice, and slices with one another by recall at a score threshold. A slice of images takes
their false alarms along and has no such fault. Events are slices of images too, but of a large data set too many to
hold a mask for each: they are cut out one after another, by `event_parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...datasets.manage.statistics import HEIGHTS_PX, SHARES, in_bins, shares
from ...errors import UsageError
from .matching import ImageBoxes, Matches
from .verdicts import Part, select_images, split_images

HEIGHT, SHARE = "height in px", "share of image"
"""Groups of slices: by `HEIGHTS_PX` and by `SHARES`."""
FACES_A_IMAGE = {"1": (1, 1), "2-5": (2, 5), "6-20": (6, 20), "21-100": (21, 100), "over 100": (101, np.inf)}
"""Name -> fewest and most annotated faces, ignored ones included, without crowd regions."""
LABELS = {
    "blur": ("clear", "normal", "heavy"),
    "occlusion": ("none", "partial", "heavy"),
    "pose": ("typical", "atypical"),
    "illumination": ("normal", "extreme"),
    "expression": ("typical", "exaggerated"),
}
"""What 0, 1, 2 mean in each attribute (`readme.txt` of wider_face_split)."""
DEMOGRAPHICS_CAVEAT = (
    "Perceived gender, age and skin tone are what annotators saw in a photograph, not what people are: a gap shows "
    "that this detector finds faces labelled so less often in these images, where size, blur, pose and light differ "
    "between the groups too; it does not show the cause, and faces nobody could label are in no group."
)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A part of a data set.

    Attributes:
        name: within its group, such as "16–32".
        group: such as "height in px".
        faces: bool (faces,): the faces that count; all others are ignored.
        images: bool (images,): the images that are scored; the others are left out with their false alarms.
    """

    name: str
    group: str
    faces: NDArray[np.bool_]
    images: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """The number of faces that count."""
        return int(np.count_nonzero(self.faces))


def standard_slices(
    faces: ImageBoxes,
    counted: NDArray[np.bool_],
    image_sizes: NDArray[np.integer],
    *,
    attributes: Mapping[str, NDArray[np.integer]] | None = None,
) -> tuple[Slice, ...]:
    """Return all slices that can be made, group by group, empty ones included; events apart.

    Args:
        faces: all annotated faces.
        counted: bool (faces,): the faces to divide, such as those of the hard list; the others count in no slice.
        image_sizes: see `face_sizes`; a face of an image whose size is not known is in no slice by share.
        attributes: name -> whole numbers (faces,). Those in `LABELS` make a group each, others are passed over.

    Raises:
        UsageError: on arrays of another length.
    """
    _check("counted", counted, len(faces))
    sizes = face_sizes(faces, image_sizes)
    everywhere = np.ones(faces.images, dtype=np.bool_)
    slices = [
        Slice(name, group, counted & (of_faces == name), everywhere)
        for group, of_faces, bins in (
            (HEIGHT, in_bins(sizes["height"], HEIGHTS_PX), HEIGHTS_PX),
            (SHARE, in_bins(sizes["share"], SHARES), SHARES),
        )
        for name in bins
    ]
    for group, names in LABELS.items():
        if group in (attributes or {}):
            slices += label_slices(faces, counted, group, (attributes or {})[group], names)
    per_image = np.diff(faces.offsets)
    if faces.crowd is not None:
        per_image = per_image - np.bincount(faces.image[faces.crowd], minlength=faces.images)
    for name, (fewest, most) in FACES_A_IMAGE.items():
        slices.append(_of_images(faces, counted, "faces an image", name, (per_image >= fewest) & (per_image <= most)))
    return tuple(slices)


def face_sizes(faces: ImageBoxes, image_sizes: NDArray[np.integer]) -> dict[str, NDArray[np.float64]]:
    """Return how large each face is: float64 (faces,) under each name.

    A mask such as `face_sizes(…)["share"] >= 0.2` chooses faces for `count` and its like, as a slice does.

    Args:
        faces: all annotated faces.
        image_sizes: (images, 2): width and height of each image in pixels; 0 where they are not known.

    Returns:
        "height": of the box in pixels. "share": of the image's area that the box covers, from 0 to 1, what lies
        outside left out; nan where the image's size is not known.

    Raises:
        UsageError: on another number of sizes than of images.

    >>> faces = ImageBoxes.from_images([[[-10, 0, 10, 20]], [[0, 0, 3, 4]]])
    >>> {name: values.tolist() for name, values in face_sizes(faces, np.array([[40, 20], [0, 0]])).items()}
    {'height': [20.0, 4.0], 'share': [0.25, nan]}
    """
    _check("image_sizes", image_sizes, faces.images)
    sides = np.repeat(np.asarray(image_sizes, dtype=np.float64), np.diff(faces.offsets), axis=0)
    return {"height": faces.boxes[:, 3] - faces.boxes[:, 1], "share": shares(faces.boxes, sides)}


def label_slices(
    faces: ImageBoxes,
    counted: NDArray[np.bool_],
    group: str,
    codes: NDArray[np.integer],
    names: Sequence[str],
) -> tuple[Slice, ...]:
    """Return a slice of faces for each value of a label, such as perceived gender.

    Args:
        faces: all annotated faces.
        counted: bool (faces,): the faces to divide.
        group: name of the label.
        codes: whole numbers (faces,): places in `names`; faces without a label have another number, such as -1, and are
            in no slice.
        names: what the values mean.

    Raises:
        UsageError: on arrays of another length.
    """
    _check("counted", counted, len(faces))
    _check(group, codes, len(faces))
    everywhere = np.ones(faces.images, dtype=np.bool_)
    return tuple(Slice(name, group, counted & (codes == code), everywhere) for code, name in enumerate(names))


def event_parts(matches: Matches, counted: NDArray[np.bool_], events: Sequence[str]) -> Iterator[tuple[str, Part]]:
    """Yield each event with its images, in the order in which events come first.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces that count.
        events: the event of each image.

    Raises:
        UsageError: on another number of events than of images.
    """
    _check("events", events, matches.images)
    number = {name: place for place, name in enumerate(dict.fromkeys(events))}
    of_image = np.array([number[name] for name in events], dtype=np.int64)
    return zip(number, split_images(matches, counted, of_image, len(number)), strict=True)


def slice_matches(matches: Matches, part: Slice) -> tuple[Matches, NDArray[np.bool_]]:
    """Return matches and mask of counted faces to score a slice with."""
    if part.images.all():
        return matches, part.faces
    return select_images(matches, part.faces, part.images)


def slice_weights(part: Slice, weights: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the weights of the slice's own images, so that its statistics share the draws of the whole set."""
    return weights if part.images.all() else np.ascontiguousarray(weights[:, part.images])


def _of_images(
    faces: ImageBoxes, counted: NDArray[np.bool_], group: str, name: str, images: NDArray[np.bool_]
) -> Slice:
    return Slice(name, group, counted & np.repeat(images, np.diff(faces.offsets)), images)


def _check(name: str, values: Sequence[object] | NDArray[np.generic], length: int) -> None:
    if len(values) != length:
        raise UsageError(f"{name} must have {length} values, got {len(values)}")
