"""What a detector costs for each megapixel and each face.

    ms = base_ms + per_megapixel_ms * megapixels + per_face_ms * faces

The median of a data set says little about images of another size. Three figures do, as far as latency is a sum: it is
for a network slid over the image (MTCNN grows with the faces too, its second and third stage running on candidates).

The fit is least squares of *relative* errors, none of the three below zero (Lawson and Hanson 1974). Relative, because
the scatter of a call grows with its length, and because a call of twice its time then counts as half of itself wrong at
most: no outlier, however slow, weighs more than one. Not of logs, because a sum is not linear in them. As the errors
are divided by what was measured rather than by what is expected, the fit lies low by one to two times the square of
the relative scatter: below 0.2 % at 3 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError
from ..resampling.bootstrap import CONFIDENCE, DRAWS, Interval, draw_weights, percentile_interval
from ..resampling.statistics import weighted_sums

FEWEST_IMAGES = 4
"""Three figures pass through any three images."""

_TERMS = ("the base", "the cost of a megapixel", "the cost of a face")
_ALIKE = 1e-9
"""Share of the largest eigenvalue below which a direction is not measured: sizes that differ by less than 3e-5."""
_TOLERANCE = 1e-4
_EXACT = 1e-18

_UNKNOWN = Interval(math.nan, math.nan, math.nan, CONFIDENCE, 0)


@dataclass(frozen=True, slots=True)
class CostModel:
    """A fitted cost, in milliseconds.

    Attributes:
        base_ms: of a call, whatever the image; nan where not significantly different from another term, as the two
            others are. Intervals are by drawing images again; no end is below zero.
        per_megapixel_ms: of 1,000,000 pixels.
        per_face_ms: of a face found.
        explained: share of the squared relative error of the best constant that the three terms take away, 0 to 1; nan
            where the constant is exact already, or nothing could be fitted.
        median_relative_error: of the fit on its own images: 0.03 is 3 %; nan where nothing could be fitted.
        images: fitted on.
        note: which terms are unknown and why; empty where all are known.
        solution: base, megapixel and face term of one of the best fits, which `predict` uses: equal to the values above
            where these are known.
        blind: float64 (k, 3), the directions in which terms can be exchanged without a change on these images.
    """

    base_ms: Interval
    per_megapixel_ms: Interval
    per_face_ms: Interval
    explained: float
    median_relative_error: float
    images: int
    note: str
    solution: tuple[float, float, float]
    blind: tuple[tuple[float, float, float], ...]

    def predict(self, megapixels: ArrayLike, faces: ArrayLike) -> NDArray[np.float64]:
        """Return the expected milliseconds, in the shape of the two together.

        nan where unknown terms are needed. A model of images of one size still predicts for that size.
        """
        size, found = np.broadcast_arrays(np.asarray(megapixels, np.float64), np.asarray(faces, np.float64))
        asked = np.stack([np.ones_like(size), size, found], axis=-1)
        unknown = np.zeros(size.shape, dtype=np.bool_)
        for direction in self.blind:
            unknown |= np.abs(asked @ np.array(direction)) > _TOLERANCE * np.abs(asked * direction).max(axis=-1)
        return np.where(unknown, np.nan, asked @ np.array(self.solution))


def fit_cost(
    ms: ArrayLike,
    megapixels: ArrayLike,
    faces: ArrayLike,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> CostModel:
    """Fit the cost of a detector.

    Args:
        ms: float64 (n,), one call an image, or the median of several.
        megapixels: float64 (n,), of the image as it was given to the detector.
        faces: (n,), found in it.
        seed: of the draws, as in `draw_weights`.
        draws: for the intervals.

    Raises:
        UsageError: on lists that are not flat or of different length, times and sizes not above 0 or not finite,
            negative numbers of faces.
    """
    times, size, found = _checked(ms, megapixels, faces)
    images = len(times)
    design = np.column_stack([np.ones(images), size, found])
    if images < FEWEST_IMAGES:
        nothing = _UNKNOWN
        note = f"{images} images are too few for three terms: measure {FEWEST_IMAGES} or more"
        blind = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
        nans = (math.nan, math.nan, math.nan)
        return CostModel(nothing, nothing, nothing, math.nan, math.nan, images, note, nans, blind)
    relative = design / times[:, None]
    weights = np.concatenate([np.ones((1, images), np.int8), draw_weights(images, draws=draws, seed=seed)])
    fits = _fit(relative, weights)
    # a draw of images that are more alike than all of them has no answer of its own
    fits.solutions[fits.rank < fits.rank[0]] = np.nan
    solution, redrawn = fits.solutions[0], fits.solutions[1:]
    of_base, of_megapixel, of_face = (
        percentile_interval(float(solution[term]), redrawn[:, term]) if fits.known[term] else _UNKNOWN
        for term in range(3)
    )
    errors = relative @ solution - 1.0
    inverse = relative[:, 0]
    constant = inverse * (inverse.sum() / (inverse @ inverse)) - 1.0
    around = float(constant @ constant)
    explained = max(1.0 - float(errors @ errors) / around, 0.0) if around > images * _EXACT else math.nan
    base, megapixel, face = solution.tolist()
    return CostModel(
        base_ms=of_base,
        per_megapixel_ms=of_megapixel,
        per_face_ms=of_face,
        explained=explained,
        median_relative_error=float(np.median(np.abs(errors))),
        images=images,
        note=_note(size, found, fits.known),
        solution=(base, megapixel, face),
        blind=tuple((one, two, three) for one, two, three in fits.blind.tolist()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fits:
    """Fits under each of several weights.

    Attributes:
        solutions: float64 (draws, 3).
        rank: int64 (draws,), how many of the three terms the images distinguish.
        known: bool (3,), which terms they determine under the first weights.
        blind: float64 (3 - rank, 3), the directions in which they determine nothing there.
    """

    solutions: NDArray[np.float64]
    rank: NDArray[np.int64]
    known: NDArray[np.bool_]
    blind: NDArray[np.float64]


def _fit(relative: NDArray[np.float64], weights: NDArray[np.integer]) -> _Fits:
    """Solve relative @ x = 1 by least squares with x >= 0, once for each row of weights (draws, n).

    The 3 x 3 products of the columns hold all that a fit needs to know, so that its cost does not grow with n.
    """
    from scipy.optimize import nnls

    length = np.linalg.norm(relative, axis=0)
    length[length == 0] = 1.0
    scaled = relative / length
    products = np.einsum("ij,ik->ijk", scaled, scaled).reshape(len(scaled), 9)
    sums, of_columns = weighted_sums(weights, products, scaled)
    values, vectors = np.linalg.eigh(sums.reshape(-1, 3, 3))
    kept = values > _ALIKE * values[:, -1:]
    root = np.sqrt(np.where(kept, values, 1.0))
    right = np.einsum("dji,dj->di", vectors, of_columns)
    targets = np.where(kept, right / root, 0.0)
    matrices = (root * kept)[:, :, None] * vectors.transpose(0, 2, 1)
    solutions = np.einsum("dji,di->dj", vectors, targets / root)
    # the answer where no term is negative and the images tell all three apart
    for draw in np.flatnonzero(~(kept & (solutions > 0)).all(axis=1)):
        solutions[draw] = nnls(matrices[draw], targets[draw])[0]
    blind = vectors[0][:, ~kept[0]].T
    known = np.abs(blind).max(axis=0, initial=0.0) < _TOLERANCE
    return _Fits(solutions / length, kept.sum(axis=1), known, blind / length)


def _note(size: NDArray[np.float64], faces: NDArray[np.float64], known: NDArray[np.bool_]) -> str:
    if known.all():
        return ""
    one_size = float(np.ptp(size)) <= _TOLERANCE * float(size.max())
    terms = [term for term, told in zip(_TERMS, known, strict=True) if not told]
    causes = [f"all images have {size[0]:.4g} megapixels"] if one_size else []
    if not faces.any():
        causes.append("no face was found")
    elif float(np.ptp(faces)) == 0:
        causes.append(f"{faces[0]:.0f} faces were found in every image")
    cause = " and ".join(causes) or "faces and megapixels grow in step"
    return f"{', '.join(terms)} cannot be told: {cause}"


def _checked(
    ms: ArrayLike, megapixels: ArrayLike, faces: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    named = {"ms": ms, "megapixels": megapixels, "faces": faces}
    arrays = [np.asarray(values, dtype=np.float64) for values in named.values()]
    shapes = {name: values.shape for name, values in zip(named, arrays, strict=True)}
    if len(set(shapes.values())) > 1 or arrays[0].ndim != 1:
        raise UsageError(f"a cost needs flat lists of one length, a value an image, got shapes {shapes}")
    for name, values in zip(named, arrays, strict=True):
        wrong = ~np.isfinite(values) | (values < 0 if name == "faces" else values <= 0)
        if bool(wrong.any()):
            index = int(np.argmax(wrong))
            least = "0 or more" if name == "faces" else "above 0"
            raise UsageError(f"{name} must be finite and {least}, got {values[index]} as image {index}")
    return arrays[0], arrays[1], arrays[2]
