"""`expression-scenes`: what a detector's misses and crops cost an emotion classifier, on composed images.

Faces of FER2013 stand on the backgrounds of `scenes`, several in an image, at known sizes, so that boxes and labels
are exact. `expression-scenes:demo` needs no FER2013: it is `scenes` with one judged expression for each of its two
people, shows that the chain works, and measures nothing.

Every image is drawn from its own generator, seeded by (seed, number): a longer set begins with the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...errors import DataError, UsageError, did_you_mean
from ..base import Dataset, Faces, Sample
from ..faces.duplicates import is_blank
from ..faces.fer import EMOTIONS, FerImages, load_fer
from ..faces.fer_dataset import LICENCE
from .backgrounds import draw_background, draw_clutter, load_backgrounds
from .composed import composed, seed_and_count
from .layers import covers, encode_png, overlap, paste, relight
from .placeholders import placeholder
from .portraits import load_portraits
from .scenes import LICENCE as SCENES_LICENCE
from .scenes import compose as compose_scene

SMALLEST, LARGEST = 32.0, 300.0

_CLASSES = ("natural", "balanced")
_EMPTY_EVERY = 10
_TRIES = 40
# Number of faces and their sizes in pixels: a crowd, a group, a portrait.
_CASTS = (((5, 8), (SMALLEST, 64.0)), ((3, 5), (48.0, 130.0)), ((1, 2), (110.0, LARGEST)))
_SLOTS = 8
# What the authors see in the two portraits of `scenes`: a closed, level mouth, and a broad smile.
_JUDGED = (EMOTIONS.index("neutral"), EMOTIONS.index("happy"))

_Image = NDArray[np.uint8]
_Box = NDArray[np.float64]


def load(root: Path, options: Mapping[str, str], name: str) -> Dataset:
    """Compose the images from faces of FER2013.

    Args:
        root: where FER2013 lies, see `load_fer`.
        options: `split` ("test"; any of `fer.SPLITS`), `count` (200), `seed` (0), `classes`: "natural" draws faces as
            often as the split has them, "balanced" all emotions equally often. No face comes twice before all have
            come.
        name: the whole name, kept in the result.

    Returns:
        PNG images of 560 to 960 pixels a side, every tenth without a face. A box is that of the whole crop, 32 to 300
        pixels wide, so that cutting it out gives back what the label was given to, but for the corners, which an oval
        cuts off. `emotions` counts in `fer.EMOTIONS`. Labels: `blur` 0 none, 1 slight, 2 heavy; `illumination` 1 dark
        or glaring.

    Raises:
        UsageError: on an unknown option or a bad value.
        DataError: where FER2013 is missing or cannot be read.
        UnavailableError: where an installed package lacks a background.
    """
    seed, count = seed_and_count(options, "expression-scenes", usual=200, most=2000, others=("split", "classes"))
    classes, split = options.get("classes", "natural"), options.get("split", "test")
    if classes not in _CLASSES:
        raise UsageError(f"Got classes={classes}, expected {' or '.join(_CLASSES)}. {did_you_mean(classes, _CLASSES)}")
    images = load_fer(root, split)
    blank = is_blank(images.images)
    images = images.where(~blank)
    if not len(images):
        raise DataError(f"Got only blank images in the split {split}, expected faces.")
    order = _order(images.labels, seed, balanced=classes == "balanced")
    most = _new_faces(order) // _SLOTS
    if "count" not in options:
        count = min(count, most)
    if not 0 < count <= most:
        raise UsageError(
            f"Got count={count}, expected at most {most}: with more, faces of the split {split} (classes={classes}) "
            "would come again, and intervals take each for a new one."
        )
    backgrounds = load_backgrounds()
    samples = []
    for number in range(count):
        slots = order[number * _SLOTS : (number + 1) * _SLOTS]
        image, faces = compose(seed, number, images.where_at(slots), backgrounds)
        samples.append(Sample(f"expression-{number:04d}.png", encode_png(image), faces))
    notes = [f"{int(blank.sum())} blank images of the split were left out."] if blank.any() else []
    return composed(
        name,
        samples,
        f"Composed scenes: FER2013 faces ({split}) with drawn heads; for emotions, not to rank detectors.",
        f"{LICENCE}; backgrounds CC0 or public domain",
        notes=notes,
        demo=False,
    )


def _new_faces(order: NDArray[np.int64]) -> int:
    """Return how many faces come in an order before the first comes again."""
    _, first = np.unique(order, return_index=True)
    again = np.ones(len(order), dtype=np.bool_)
    again[first] = False
    return int(np.flatnonzero(np.append(again, True))[0])


def load_demo(options: Mapping[str, str], name: str) -> Dataset:
    """Take those images of `scenes` whose faces can be judged: all at least 32 pixels high, none covered.

    Args:
        options: `count` (30) and `seed` (0).
        name: the whole name, kept in the result.

    Raises:
        UsageError: on an unknown option or a bad value.
        UnavailableError: where an installed package lacks its image.
    """
    seed, count = seed_and_count(options, "expression-scenes:demo", usual=30, most=500)
    portraits, backgrounds = load_portraits(), load_backgrounds()
    samples: list[Sample] = []
    number = 0
    while len(samples) < count:
        image, faces = compose_scene(seed, number, portraits, backgrounds)
        heights = faces.boxes[:, 3] - faces.boxes[:, 1]
        if (heights >= SMALLEST).all() and not faces.attributes["occlusion"].any():
            emotions = np.array(_JUDGED, np.int8)[faces.attributes["person"]]
            judged = Faces(faces.boxes, faces.ignore, faces.attributes, emotions)
            samples.append(Sample(f"scene-{number:04d}.png", encode_png(image), judged))
        number += 1
    return composed(
        name,
        samples,
        "Demonstration on two portraits, judged neutral and happy: shows the chain, measures nothing.",
        SCENES_LICENCE,
        notes=("Emotions: the portrait of Hopper judged neutral, that of Collins happy, by the authors alone.",),
    )


def compose(seed: int, number: int, cast: FerImages, backgrounds: Mapping[str, _Image]) -> tuple[_Image, Faces]:
    """Draw one image, uint8 (h, w, 3) RGB, of the first of `cast` (as many as find a place), and its faces."""
    rng = np.random.default_rng((seed, number))
    width, height = int(rng.integers(720, 961)), int(rng.integers(560, 721))
    if number % _EMPTY_EVERY == _EMPTY_EVERY - 1:
        return draw_clutter(rng, backgrounds, width, height), _faces([], [], [], dark=False)
    image = draw_background(rng, backgrounds, width, height)
    (fewest, most), (smallest, largest) = _CASTS[rng.choice(len(_CASTS), p=(0.4, 0.35, 0.25))]
    most = min(most, len(cast))
    sizes = np.exp(rng.uniform(np.log(smallest), np.log(largest), rng.integers(min(fewest, most), most + 1)))
    boxes: list[_Box] = []
    emotions, blurs = [], []
    for i, size in enumerate(np.sort(sizes)):  # the small ones stand behind
        blur = int(rng.choice(3, p=(0.65, 0.22, 0.13)))
        box = _put(rng, image, cast.images[i], float(size), (0, 0.02, 0.045)[blur] * float(size), boxes)
        if box is not None:
            boxes.append(box)
            emotions.append(int(cast.labels[i]))
            blurs.append(blur)
    dark = bool(rng.random() < 0.15)
    return relight(rng, image) if dark else image, _faces(boxes, emotions, blurs, dark=dark)


def _put(rng: Generator, image: _Image, crop: _Image, size: float, sigma: float, taken: Sequence[_Box]) -> _Box | None:
    """Put a person where it covers no face; the box, or None where no place was found."""
    clothes = rng.uniform(20, 220, 3).astype(np.float32)
    layer, box = placeholder(crop, size, clothes, sigma=sigma)
    rows, columns = image.shape[:2]
    # the head, above and beside the box, stays in the image; the shoulders need not
    space = np.array([0.15, 0.35, 0.15, 0.1]) * size
    room = np.array([columns, rows]) - (size + space[:2] + space[2:])
    if room.min() < 0:
        return None
    for _ in range(_TRIES):
        x, y = (int(n) for n in np.rint(space[:2] + rng.uniform(0, 1, 2) * room - box[:2]))
        there: _Box = box + np.array([x, y, x, y])
        inside = there[:2].min() >= 0 and there[2] <= columns and there[3] <= rows
        if inside and not any(covers(layer, x, y, other) or overlap(there, other) for other in taken):
            paste(image, layer, x, y)
            return there
    return None


def _faces(boxes: Sequence[_Box], emotions: Sequence[int], blurs: Sequence[int], *, dark: bool) -> Faces:
    n = len(boxes)
    attributes = {"blur": np.array(blurs, np.int8), "illumination": np.full(n, dark, np.int8)}
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(n, bool), attributes, np.array(emotions, np.int8))


def _order(labels: NDArray[np.int8], seed: int, *, balanced: bool) -> NDArray[np.int64]:
    """In which order faces are drawn: a permutation, or the emotions in turn, the rare ones' faces again and again."""
    rng = np.random.default_rng(seed)
    if not balanced:
        return rng.permutation(len(labels))
    of_class = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    longest = max(len(faces) for faces in of_class)
    turns = np.stack([np.resize(faces, longest) for faces in of_class], axis=1)
    return np.asarray(rng.permuted(turns, axis=1).ravel(), np.int64)
