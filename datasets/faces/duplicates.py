"""Images that stand twice among FER2013's 48x48 faces: pixel-equal, nearly equal, or mirrored.

FER2013 was gathered from a web search, so one photograph came in several times: stored again, with a watermark, cut a
few pixels elsewhere or enlarged. A training image that repeats an image held out flatters the model.

The measure of nearness is the largest normalised correlation (zero mean, unit length) of one image's inner 36x36
pixels with any window of the other image, over five enlargements from 0.84 to 1.16; both images are band-passed
first (Gaussian, sigma 1 minus sigma 4), since the light on a face makes the grey values of unrelated faces agree. On
FER2013 the measure separates: unrelated faces form a hump that ends near 0.86, copies one that begins near 0.90, and
between them lie few pairs, hence the threshold 0.88. Just above it some pairs are two photographs of one session.

Comparing all pairs so would take days. Pairs are compared first at 9x9 means of 4x4 pixels, centred, at all five
enlargements, by matrix products; those above 0.72 are measured. Of 1,500 training images this found 159 of the 172
that a far wider search found; what it misses is copies cut far from the centre of the other, near the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .fer import EMOTIONS, SIDE, FerImages

NEAR = 0.88
KINDS = ("exact", "near", "mirrored")

_SCALES = (0.84, 0.92, 1.0, 1.08, 1.16)
_INNER, _CELL = 36, 4
_COARSE = 0.72
# A pair that is worse than this at its best coarse scale hardly reaches NEAR at the next: 2 of 298 did.
_WORTH_A_SECOND_LOOK = 0.75
_BLANK_SPREAD = 2.0
_BLOCK = 1024

_Floats = NDArray[np.float32]
_Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of images that show the same, each once, sorted by `first` and then `second`.

    Attributes:
        first: int64 (p,), index of the image asked about.
        second: int64 (p,), index of the image that it repeats.
        kind: str (p,), one of `KINDS`.
        similarity: float32 (p,), the measure of this module; 1 for pixel-equal images.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    kind: NDArray[np.str_]
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What of the training images is fit to train on; all masks are bool (n,) over the images given.

    Attributes:
        held_out: pairs of a training image (`first`) and an image held out (`second`), as indices into the whole.
        inside: pairs of two training images, `first` < `second`.
        leaks: training images that repeat an image held out, in any of the three ways.
        blank: training images without content (standard deviation of the grey values under 2).
        repeats: training images pixel-equal to an earlier training image.
        conflicts: training images pixel-equal to a training image of another label.
        clean: training images that are none of these: one of each set of copies, none where the labels disagree.
    """

    held_out: Pairs
    inside: Pairs
    leaks: NDArray[np.bool_]
    blank: NDArray[np.bool_]
    repeats: NDArray[np.bool_]
    conflicts: NDArray[np.bool_]
    clean: NDArray[np.bool_]


def audit(images: FerImages) -> Audit:
    """Compare the part "train" with the parts held out ("validate" and "test"), and with itself.

    About 90 s for all of FER2013 on two cores.

    Raises:
        DataError: where there is no training image, or none held out.
    """
    train, held = np.flatnonzero(images.part == "train"), np.flatnonzero(images.part != "train")
    if not len(train) or not len(held):
        raise DataError(f"Got {len(train):,} training images and {len(held):,} held out, expected both.")
    found = find_repeats(images.images[train], images.images[held])
    held_out = Pairs(train[found.first], held[found.second], found.kind, found.similarity)
    found = find_repeats(images.images[train])
    inside = Pairs(train[found.first], train[found.second], found.kind, found.similarity)

    def marked(*indices: _Indices) -> NDArray[np.bool_]:
        mask = np.zeros(len(images), bool)
        for some in indices:
            mask[some] = True
        return mask

    exact = inside.kind == "exact"
    first, second = inside.first[exact], inside.second[exact]
    differ = images.labels[first] != images.labels[second]
    leaks, repeats = marked(held_out.first), marked(second)
    conflicts = marked(first[differ], second[differ])
    blank = marked(train[is_blank(images.images[train])])
    clean = marked(train) & ~(leaks | repeats | conflicts | blank)
    return Audit(held_out, inside, leaks, blank, repeats, conflicts, clean)


def summary(images: FerImages, found: Audit) -> list[str]:
    """Say what an audit found, one sentence each, with all counts."""
    n_train = int((images.part == "train").sum())
    lines = []
    for where, pairs in (("an image held out", found.held_out), ("another training image", found.inside)):
        for kind in KINDS:
            of_kind = pairs.kind == kind
            first, second = pairs.first[of_kind], pairs.second[of_kind]
            who = np.unique(first if pairs is found.held_out else np.concatenate([first, second]))
            differ = int((images.labels[first] != images.labels[second]).sum())
            words = {"exact": "are pixel-equal to", "near": "nearly equal", "mirrored": "mirror"}[kind]
            lines.append(
                f"{len(who):,} of {n_train:,} training images {words} {where}: {len(first):,} pairs, of which "
                f"{differ:,} have two different labels."
            )
    per_class = np.bincount(images.labels[found.clean], minlength=len(EMOTIONS))
    return [
        *lines,
        f"{int(found.leaks.sum()):,} training images repeat an image held out in any of these ways.",
        f"{int(found.repeats.sum()):,} are pixel-equal to an earlier training image, "
        f"{int(found.conflicts.sum()):,} to one of another label, {int(found.blank.sum()):,} are blank.",
        f"{int(found.clean.sum()):,} are left to train on: "
        + ", ".join(f"{name} {count:,}" for name, count in zip(EMOTIONS, per_class, strict=True))
        + ".",
    ]


def repeats_of_training(images: FerImages) -> NDArray[np.bool_]:
    """Return which images of PublicTest and PrivateTest repeat one of FER2013's own Training part: bool (n,).

    Whoever learns from all of Training has seen them, pixel-equal, nearly so or mirrored. About a minute and a half for
    all of FER2013 on two cores.
    """
    held_out = np.flatnonzero(images.usage != "Training")
    pairs = find_repeats(images.images[held_out], images.images[images.usage == "Training"])
    repeated = np.zeros(len(images), np.bool_)
    repeated[held_out[pairs.first]] = True
    return repeated


def find_repeats(images: NDArray[np.uint8], among: NDArray[np.uint8] | None = None) -> Pairs:
    """Find the images that repeat others.

    Args:
        images: uint8 (n, 48, 48), the images asked about.
        among: uint8 (m, 48, 48), the images that they may repeat; None compares `images` with themselves, each pair
            once, `first` < `second`.

    Returns:
        The pairs: pixel-equal ones as "exact", others above `NEAR` as "near", or as "mirrored" where only the mirrored
        image is. Blank images are compared exactly alone.

    Raises:
        DataError: on arrays of another kind.
    """
    for array in (images, images if among is None else among):
        if array.dtype != np.uint8 or array.shape[1:] != (SIDE, SIDE):
            raise DataError(f"Got images of {array.dtype} {array.shape}, expected uint8 (n, {SIDE}, {SIDE}).")
    others = images if among is None else among
    rows = list(_exact(images, others, itself=among is None))
    known = {(i, j) for i, j, *_ in rows}
    queries, targets = _templates(images), _band(others)
    for mirrored in (False, True):
        kind = "mirrored" if mirrored else "near"
        for i, j, scale in _candidates(queries, targets, mirrored=mirrored, itself=among is None):
            if (i, j) in known:
                continue
            value = _measure(queries[i], targets[j], scale, mirrored=mirrored)
            if value >= NEAR:
                rows.append((i, j, kind, value))
                known.add((i, j))
    rows.sort()
    first, second, kinds, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Pairs(
        np.array(first, np.int64), np.array(second, np.int64), np.array(kinds, "U8"), np.array(values, np.float32)
    )


def _exact(
    images: NDArray[np.uint8], others: NDArray[np.uint8], *, itself: bool
) -> Iterator[tuple[int, int, str, float]]:
    at: dict[bytes, list[int]] = {}
    for j, image in enumerate(others):
        at.setdefault(image.tobytes(), []).append(j)
    for i, image in enumerate(images):
        yield from ((i, j, "exact", 1.0) for j in at.get(image.tobytes(), ()) if not itself or i < j)


def is_blank(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which images, uint8 (n, h, w), show nothing: a standard deviation of their grey values under 2."""
    return np.asarray(images.std(axis=(1, 2), dtype=np.float32) < _BLANK_SPREAD)


def _band(images: NDArray[np.uint8]) -> _Floats:
    """Band-passed images, float32 (n, 48, 48); blank ones are all zero."""
    out = np.empty(images.shape, np.float32)
    for i, image in enumerate(images):
        out[i] = _band_one(image.astype(np.float32))
    out[is_blank(images)] = 0
    return out


def _band_one(image: _Floats) -> _Floats:
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1) - cv2.GaussianBlur(image, (0, 0), 4), np.float32)


def _templates(images: NDArray[np.uint8]) -> _Floats:
    """The inner part of every image at every scale, band-passed, float32 (n, scales, 36, 36)."""
    import cv2

    out = np.empty((len(images), len(_SCALES), _INNER, _INNER), np.float32)
    for s, scale in enumerate(_SCALES):
        side = round(SIDE * scale)
        inner = slice((side - _INNER) // 2, (side - _INNER) // 2 + _INNER)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        for i, image in enumerate(images):
            scaled = np.asarray(cv2.resize(image.astype(np.float32), (side, side), interpolation=how), np.float32)
            out[i, s] = _band_one(scaled)[inner, inner]
    out[is_blank(images)] = 0
    return out


def _coarse(inner: _Floats) -> _Floats:
    """Means of 4x4 pixels, zero mean, unit length, float32 (n, 81); blank images are all zero."""
    cells = _INNER // _CELL
    means = inner.reshape(-1, cells, _CELL, cells, _CELL).mean(axis=(2, 4)).reshape(-1, cells * cells)
    means -= means.mean(axis=1, keepdims=True)
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-3), np.float32)


def _candidates(queries: _Floats, targets: _Floats, *, mirrored: bool, itself: bool) -> Iterator[tuple[int, int, int]]:
    """Pairs worth measuring, and the scale at which they agree best."""
    edge = (SIDE - _INNER) // 2
    goals = _coarse(np.ascontiguousarray(targets[:, edge:-edge, edge:-edge]))
    # the cells of a mirrored image are the mirrored cells
    asked = [_coarse(np.ascontiguousarray(queries[:, s, :, ::-1] if mirrored else queries[:, s])) for s in range(5)]
    for begin in range(0, len(queries), _BLOCK):
        rows, columns, scales, values = [], [], [], []
        low = begin if itself else 0
        for scale, vectors in enumerate(asked):
            product = vectors[begin : begin + _BLOCK] @ goals[low:].T
            at = np.flatnonzero(product >= _COARSE)
            rows.append(at // product.shape[1] + begin)
            columns.append(at % product.shape[1] + low)
            scales.append(np.full(len(at), scale))
            values.append(product.ravel()[at])
        i, j, s = np.concatenate(rows), np.concatenate(columns), np.concatenate(scales)
        order = np.lexsort((-np.concatenate(values), j, i))
        if itself:
            order = order[i[order] < j[order]]
        i, j, s = i[order], j[order], s[order]
        new = np.ones(len(i), bool)
        new[1:] = (np.diff(i) != 0) | (np.diff(j) != 0)
        yield from zip(i[new].tolist(), j[new].tolist(), s[new].tolist(), strict=True)


def _measure(query: _Floats, target: _Floats, scale: int, *, mirrored: bool) -> float:
    """The measure at the best coarse scale, and at its neighbours where that may matter."""
    import cv2

    def at(s: int) -> float:
        inner = np.ascontiguousarray(query[s, :, ::-1] if mirrored else query[s])
        return float(cv2.matchTemplate(target, inner, cv2.TM_CCOEFF_NORMED).max())

    best = at(scale)
    if best < _WORTH_A_SECOND_LOOK:
        return best
    return max(best, *(at(s) for s in (scale - 1, scale + 1) if 0 <= s < len(_SCALES)))
