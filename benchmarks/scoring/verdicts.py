"""What became of each detection, and parts of a matching: the detections or the images of a choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .matching import Matches


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """One verdict a detection, in the order of the matches: highest score first.

    Attributes:
        hit: bool (n,): the first detection on a face that counts.
        false_alarm: bool (n,): on no face, or too late on one that counts, and in no crowd region.
    """

    hit: NDArray[np.bool_]
    false_alarm: NDArray[np.bool_]

    @property
    def dropped(self) -> NDArray[np.bool_]:
        """On a face that does not count or in a crowd region, hence neither right nor wrong: bool (n,)."""
        dropped: NDArray[np.bool_] = ~(self.hit | self.false_alarm)
        return dropped


def verdicts(matches: Matches, counted: NDArray[np.bool_], *, iou_threshold: float = 0.5) -> Verdicts:
    """Judge each detection by the rules of the WIDER FACE evaluation (`evaluation.m`, `image_evaluation`).

    - Best IoU below the threshold: a false alarm.
    - Best face is one that does not count: dropped, neither hit nor false alarm.
    - Best face counts: the detection of highest score is the hit, every later one a false alarm. There is no second
      choice for a detection that comes too late.

    Crowd regions, which WIDER FACE does not have, come last, as in pycocotools: a false alarm of which one region holds
    a share of at least the threshold is dropped. A region takes any number.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list; all others are ignored.
        iou_threshold: in (0, 1], against the IoU with the plus-one rule.

    Raises:
        UsageError: on a mask of another dtype or length, or a threshold out of range.
    """
    if counted.dtype != np.bool_ or counted.shape != (matches.faces,):
        raise UsageError(f"counted must be bool ({matches.faces},), one a face, got {counted.dtype} {counted.shape}")
    if not 0.0 < iou_threshold <= 1.0:
        raise UsageError(f"iou_threshold must be above 0 and at most 1, got {iou_threshold}")
    landed = np.flatnonzero(matches.iou >= iou_threshold)
    face = matches.best_face[landed]
    first = np.full(matches.faces, -1, dtype=np.int64)
    # Of repeated indices NumPy keeps the last value: backwards, the detection of highest score.
    first[face[::-1]] = landed[::-1]
    hit = np.zeros(len(matches), dtype=np.bool_)
    hit[first[counted & (first >= 0)]] = True
    false_alarm = ~hit
    false_alarm[landed[~counted[face]]] = False
    if matches.in_crowd is not None:
        false_alarm &= matches.in_crowd < iou_threshold
    return Verdicts(hit, false_alarm)


def faces_not_hit(matches: Matches, counted: NDArray[np.bool_], hit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the counted faces that are best face of no detection in `hit`, bool (n,): bool (faces,)."""
    unfound = counted.copy()
    unfound[matches.best_face[hit]] = False
    return unfound


def select_detections(matches: Matches, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Matches:
    """Return the matches of the `chosen` detections, bool (n,) or rising places; all faces and images stay."""
    return replace(
        matches,
        scores=matches.scores[chosen],
        image=matches.image[chosen],
        best_face=matches.best_face[chosen],
        iou=matches.iou[chosen],
        plain_iou=matches.plain_iou[chosen],
        detection=matches.detection[chosen],
        in_crowd=None if matches.in_crowd is None else matches.in_crowd[chosen],
    )


def select_images(
    matches: Matches, counted: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> tuple[Matches, NDArray[np.bool_]]:
    """Return the matches and the mask of counted faces as if there were only the `chosen` images.

    Images and faces are numbered again, `detection` still names rows of the arrays given to `match`.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        chosen: bool (images,).

    Raises:
        UsageError: on masks of other lengths.
    """
    if counted.shape != (matches.faces,) or chosen.shape != (matches.images,):
        raise UsageError(
            f"expected masks of {matches.faces} faces and {matches.images} images, got shapes {counted.shape} and "
            f"{chosen.shape}"
        )
    faces = np.diff(matches.face_offsets)
    face_chosen = np.repeat(chosen, faces)
    # The last place serves best_face -1, no face.
    face_number = np.append(np.cumsum(face_chosen, dtype=np.int64) - 1, -1)
    part = select_detections(matches, chosen[matches.image])
    return replace(
        part,
        image=(np.cumsum(chosen, dtype=np.int64) - 1)[part.image],
        best_face=face_number[part.best_face],
        face_offsets=np.concatenate([[0], np.cumsum(faces[chosen])]).astype(np.int64),
    ), counted[face_chosen]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some images, with matches as if there were no others.

    Attributes:
        images: int64 (k,): which ones, rising.
        faces: int64 (m,): their faces, rising.
        matches: of these; images and faces are numbered again, `detection` still names rows of the whole.
        counted: bool (m,): the faces of the list.
    """

    images: NDArray[np.int64]
    faces: NDArray[np.int64]
    matches: Matches
    counted: NDArray[np.bool_]


def split_images(matches: Matches, counted: NDArray[np.bool_], part: NDArray[np.int64], parts: int) -> Iterator[Part]:
    """Yield what `select_images` makes of each part of the images, looking at the whole once and not once a part.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        part: int64 (images,): which part each image is in, from 0 to below `parts`.
        parts: how many there are.
    """
    faces = np.diff(matches.face_offsets)
    images_of, faces_of, rows_of = (
        np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of, minlength=parts))[:-1])
        for of in (part, np.repeat(part, faces), part[matches.image])
    )
    image_number = np.empty(matches.images, dtype=np.int64)
    # The last place serves best_face -1, no face.
    face_number = np.full(matches.faces + 1, -1, dtype=np.int64)
    for some, within, rows in zip(images_of, faces_of, rows_of, strict=True):
        image_number[some], face_number[within] = np.arange(len(some)), np.arange(len(within))
        whole = select_detections(matches, rows)
        found = replace(
            whole,
            image=image_number[whole.image],
            best_face=face_number[whole.best_face],
            face_offsets=np.concatenate([[0], np.cumsum(faces[some])]).astype(np.int64),
        )
        yield Part(some, within, found, counted[within])


def first_half(images: int, seed: int = 0) -> NDArray[np.bool_]:
    """Choose half of the images, the larger half of an odd number, at random: bool (images,).

    >>> first_half(5, seed=0).tolist()
    [False, True, True, True, False]
    """
    half = np.zeros(images, dtype=np.bool_)
    half[random_order(np.random.PCG64(seed), images)[: (images + 1) // 2]] = True
    return half


def random_order(stream: np.random.BitGenerator, images: int) -> NDArray[np.int64]:
    """Return the images in a random order: int64 (images,).

    The same for a seed in any process and release of NumPy, which keeps the raw stream of a bit generator stable, but
    not what `Generator.permutation` makes of it (NEP 19).
    """
    return np.argsort(stream.random_raw(images), kind="stable")
