"""Accuracy: a head that loses faces in a known way, on samples of a population; how often the loss is let through."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.compare.gate import accuracy_verdict
from ...benchmarks.compare.limits import DetectorLimits
from ...benchmarks.compare.pair import AccuracyChange
from ...benchmarks.resampling.average_precision import ExactAP
from ...benchmarks.resampling.bootstrap import draw_weights, paired_difference, resample
from ...benchmarks.scoring import Matches

DRAWS = 400
POPULATION = 20_000
MAX_AP_LOSS = DetectorLimits().max_ap_loss
Faces = NDArray[np.int64]

CROWDS: Mapping[str, Callable[[np.random.Generator, int], Faces]] = {
    "one face an image": lambda random, n: np.ones(n, np.int64),
    "crowds": lambda random, n: np.ceil(np.exp(random.normal(0.5, 1.2, n))).astype(np.int64),
}

Lost = Callable[[np.random.Generator, Faces], NDArray[np.bool_]]


def _images(share: float) -> Lost:
    """Nothing is found on a share of the images."""
    return lambda random, faces: np.repeat(random.random(len(faces)) < share, faces)


def _anywhere(share: float) -> Lost:
    """A share of the faces is lost, wherever they are."""
    return lambda random, faces: random.random(int(faces.sum())) < share


LOSSES: Mapping[str, Lost] = {
    "1 % of images": _images(0.01),
    "5 % of images": _images(0.05),
    "20 % of images": _images(0.2),
    "0.1 % of faces": _anywhere(0.001),
    "1 % of faces": _anywhere(0.01),
    "5 % of faces": _anywhere(0.05),
}


def judge(random: np.random.Generator, faces: Faces, lost: Lost) -> str:
    """Return the outcome of one sample."""
    base, head = _two(random, faces, lost)
    weights = draw_weights(len(faces), draws=DRAWS, seed=int(random.integers(1 << 30)))
    counted = np.ones(int(faces.sum()), dtype=bool)
    old, new = (resample(ExactAP(matches, counted), weights) for matches in (base, head))
    change = AccuracyChange(
        "overall", old.value, new.value, paired_difference(new, old).interval, np.nan, np.nan, len(faces)
    )
    return accuracy_verdict(change, MAX_AP_LOSS, identical=len(base) == len(head)).outcome


def true_loss(crowd: str, loss: str) -> float:
    """Return the loss of AP on a large population."""
    random = np.random.default_rng(1)
    faces = CROWDS[crowd](random, POPULATION)
    once, counted = np.ones((1, POPULATION), np.int8), np.ones(int(faces.sum()), dtype=bool)
    base, head = (float(ExactAP(one, counted)(once)[0]) for one in _two(random, faces, LOSSES[loss]))
    return base - head


def _two(random: np.random.Generator, faces: Faces, lost: Lost) -> tuple[Matches, Matches]:
    """Make base, which finds four faces of five and false alarms on a third of the images, and head, which loses."""
    image = np.repeat(np.arange(len(faces)), faces)
    found = random.random(len(image)) < 0.8
    alarms = np.flatnonzero(random.random(len(faces)) < 1 / 3)
    scores = np.concatenate([random.normal(1, 1, len(image)), random.normal(-0.5, 1, len(alarms))])
    whose = np.concatenate([np.arange(len(image)), np.full(len(alarms), -1)])
    where = np.concatenate([image, alarms])
    there = np.concatenate([found, np.ones(len(alarms), dtype=bool)])
    kept = there & ~np.concatenate([lost(random, faces), np.zeros(len(alarms), dtype=bool)])
    offsets = np.concatenate([[0], np.cumsum(faces)])
    return _matches(scores, where, whose, offsets, there), _matches(scores, where, whose, offsets, kept)


def _matches(
    scores: NDArray[np.float64], image: Faces, face: Faces, offsets: Faces, chosen: NDArray[np.bool_]
) -> Matches:
    order = np.flatnonzero(chosen)[np.argsort(-scores[chosen], kind="stable")]
    overlap = np.where(face[order] >= 0, 0.8, 0.0)
    return Matches(scores[order], image[order], face[order], overlap, overlap.copy(), order, offsets.copy())
