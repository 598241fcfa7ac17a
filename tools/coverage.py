"""How often an interval holds the number of the population: samples of images drawn from one whose truth is known.

    facebench score PREDICTIONS --dataset wider-face:val --data FOLDER --out RUN
    python -m facebench.tools.coverage RUN --samples 400 --images 30,130,500

All images of the run are the population. Each sample is drawn without repetition and scored as table, report and
compare score it; what they print is held against the number of the population. Other detectors are made of the run's
by perturbing it, so that true differences are known, and labels of groups are shuffled, so that there is no true gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from ..benchmarks.analysis.intervals import OFFICIAL_DRAWS
from ..benchmarks.analysis.table import one_blas_thread
from ..benchmarks.resampling.average_precision import CocoAP, ExactAP
from ..benchmarks.resampling.bootstrap import Interval, draw_weights, interval, resample
from ..benchmarks.resampling.boxes import box_habit, hit_overlap
from ..benchmarks.resampling.errors import misses_by_group
from ..benchmarks.resampling.official import OfficialAP
from ..benchmarks.resampling.ranking import gap, tied_with_best
from ..benchmarks.resampling.statistics import operating_ratios, share_of_faces
from ..benchmarks.scoring import ImageBoxes, Matches, match
from ..benchmarks.scoring.coco import COCO_THRESHOLDS, coco_overlaps
from ..benchmarks.scoring.slices import slice_matches, standard_slices
from ..benchmarks.scoring.verdicts import faces_not_hit, verdicts
from ..benchmarks.store.run_folder import RunFolder
from ..benchmarks.store.truth import RunReader
from ..errors import ResultsError

THRESHOLD = 0.5
FEWEST_FACES = 10
GROUPS = (2, 4, 6)
EQUAL = 12
_Floats = NDArray[np.float64]


class Found(NamedTuple):
    """What a detector found in all images."""

    boxes: ImageBoxes
    scores: _Floats


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Annotated images and the detections of several detectors, or a sample of them.

    Attributes:
        faces: all annotated faces.
        lists: name -> bool (faces,): those that count.
        detectors: name -> what it found; the first is scored in full, the others are compared with it.
        groups: int64 (faces, g): a number for each face that decides its group, shuffled.
    """

    faces: ImageBoxes
    lists: Mapping[str, NDArray[np.bool_]]
    detectors: Mapping[str, Found]
    groups: NDArray[np.int64]

    @property
    def hardest(self) -> str:
        """Name of the list that ranks."""
        return next((name for name in ("hard", "medium", "easy") if name in self.lists), "overall")

    def sample(self, chosen: NDArray[np.bool_]) -> Population:
        """Return the chosen images, bool (images,), alone."""
        faces, kept = _select(self.faces, chosen)
        found = {}
        for name, one in self.detectors.items():
            boxes, of_boxes = _select(one.boxes, chosen)
            found[name] = Found(boxes, one.scores[of_boxes])
        return Population(faces, {name: mask[kept] for name, mask in self.lists.items()}, found, self.groups[kept])


def of_run(path: Path, seed: int = 0) -> Population:
    """Return the images of a finished run with the detections of its first cell and three detectors made of them.

    Raises:
        ResultsError: the folder is no run, or has no finished cell.
    """
    run = RunFolder.open(path)
    reader = RunReader(run)
    cell = next((one for one in run.cells if one.done), None)
    if cell is None:
        raise ResultsError(f"{path} has no finished cell, expected one; score predictions with facebench score --out")
    rng, truth, matched = np.random.default_rng(seed), reader.truth, reader.matched(cell)
    first = Found(matched.boxes, np.asarray(matched.scores, dtype=np.float64))
    found = {"A": first, "B": noisy_scores(first, rng), "C": noisy_boxes(first, rng), "D": blind_spots(first, rng)}
    return Population(truth.faces, truth.masks, found, rng.integers(0, 60, (len(truth.faces), len(GROUPS))))


def made_up(images: int, seed: int = 0) -> Population:
    """Return a population whose faces crowd in a few images, as in real ones: for the short form."""
    rng = np.random.default_rng(seed)
    counts = np.minimum(np.exp(rng.normal(1.2, 1.1, images)).astype(np.int64) + 1, 150)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    image = np.repeat(np.arange(images), counts)
    place = np.arange(offsets[-1]) - offsets[image]
    size = np.where(rng.random(len(image)) < 0.3, 14.0, 50.0)
    corner = np.stack([place % 12 * 100.0, place // 12 * 100.0], axis=1)
    faces = ImageBoxes(np.concatenate([corner, corner + size[:, None]], axis=1), offsets)
    # in a crowd fewer are found
    chance = np.clip(rng.beta(6, 2, images)[image] - 0.08 * np.log(counts[image]), 0.02, 1.0)
    hit, extra = rng.random(len(image)) < chance, rng.random(len(image)) < 0.15
    shift = 60.0 * ~hit[:, None]
    shown = hit | extra
    boxes = ImageBoxes(
        (faces.boxes + rng.normal(0, 0.05, (len(image), 4)) * size[:, None] + shift)[shown],
        np.concatenate([[0], np.cumsum(np.bincount(image[shown], minlength=images))]).astype(np.int64),
    )
    first = Found(boxes, np.clip(rng.normal(np.where(hit, 0.75, 0.45), 0.15), 0.02, 0.999)[shown])
    lists = {"hard": size > 0, "overall": size > 0}
    found = {"A": first, "B": noisy_scores(first, rng), "C": noisy_boxes(first, rng), "D": blind_spots(first, rng)}
    return Population(faces, lists, found, rng.integers(0, 60, (len(image), len(GROUPS))))


def noisy_scores(found: Found, rng: np.random.Generator) -> Found:
    """Return the same boxes with scores moved by chance."""
    logit = np.log(np.clip(found.scores, 1e-6, 1 - 1e-6) / np.clip(1 - found.scores, 1e-6, 1))
    return Found(found.boxes, 1 / (1 + np.exp(-logit - rng.normal(0, 0.8, len(logit)))))


def noisy_boxes(found: Found, rng: np.random.Generator, share: float = 0.06) -> Found:
    """Return the same scores with corners moved by a share of each box's size."""
    size = np.tile(found.boxes.boxes[:, 2:] - found.boxes.boxes[:, :2], 2)
    moved = found.boxes.boxes + rng.normal(0, share, size.shape) * size
    return Found(ImageBoxes(moved, found.boxes.offsets), found.scores)


def blind_spots(found: Found, rng: np.random.Generator) -> Found:
    """Return what is left when each image loses its own share of the boxes, most none and some many."""
    offsets = found.boxes.offsets
    kept = rng.random(len(found.scores)) >= np.repeat(rng.beta(0.5, 4, len(offsets) - 1), np.diff(offsets))
    ends = np.concatenate([[0], np.cumsum(kept)])[offsets]
    return Found(ImageBoxes(found.boxes.boxes[kept], ends.astype(np.int64)), found.scores[kept])


def numbers(of: Population, draws: int, seed: int) -> dict[str, Interval]:
    """Return every number that table, report and compare print with an interval over images.

    Args:
        of: all images of it are scored.
        draws: resamples; one is enough where the values alone are wanted.
        seed: names them.
    """
    weights = draw_weights(of.faces.images, draws=draws, seed=seed)
    name, *others = of.detectors
    boxes, scores = of.detectors[name]
    matches = match(of.faces, boxes, scores)
    exact = {key: resample(ExactAP(matches, mask), weights) for key, mask in of.lists.items()}
    found = {f"AP {key}": interval(one) for key, one in exact.items()}
    overlaps = coco_overlaps(of.faces, boxes, scores)
    for key, mask in of.lists.items():
        found[f"official AP {key}"] = interval(resample(OfficialAP(matches, mask), weights[:OFFICIAL_DRAWS]))
        found[f"COCO AP50 {key}"] = interval(resample(CocoAP(overlaps, mask, COCO_THRESHOLDS[:1]), weights[:200]))
    found |= {
        rate: interval(resample(one, weights))
        for rate, one in operating_ratios(matches, of.lists["overall"], THRESHOLD).items()
    }
    found |= dict(_depth(of, matches, boxes, weights))
    for other in others:
        against = match(of.faces, *of.detectors[other])
        for key, mask in of.lists.items():
            difference = exact[key].less(resample(ExactAP(against, mask), weights))
            found[f"difference {name} less {other}, AP {key}"] = interval(difference)
    return found


def _depth(
    of: Population, matches: Matches, boxes: ImageBoxes, weights: NDArray[np.integer]
) -> Iterator[tuple[str, Interval]]:
    """Yield what the report shows of one detector on the hardest list."""
    counted = of.lists[of.hardest]
    overlap = hit_overlap(matches, counted, weights, score_threshold=THRESHOLD)
    yield "median IoU of hits", overlap.median
    habit = box_habit(matches, of.faces, boxes, counted, weights, score_threshold=THRESHOLD)
    yield "width of boxes", habit.width_ratio
    hit = verdicts(matches, counted).hit & (matches.scores >= THRESHOLD)
    unfound = faces_not_hit(matches, counted, hit)
    sizes = np.zeros((of.faces.images, 2), dtype=np.int64)
    for part in standard_slices(of.faces, counted, sizes):
        if part.size >= FEWEST_FACES and part.images.all():
            recall = share_of_faces(matches.face_offsets, ~unfound, part.faces)
            yield f"recall, {part.group} {part.name}", interval(resample(recall, weights))
            yield f"AP, {part.group} {part.name}", interval(resample(ExactAP(*slice_matches(matches, part)), weights))
    labels = np.where(counted, of.groups[:, 0] % 3, 3)
    for label, misses in misses_by_group(matches.face_offsets, counted, unfound, labels, weights).items():
        if misses.faces >= FEWEST_FACES:
            yield f"missed of group {label}", misses.share
    for groups, chance in zip(GROUPS, of.groups.T, strict=True):
        # groups of unequal size, the last a twentieth
        ends = np.concatenate([np.linspace(0, 57, groups)[1:], [60]])
        group = np.where(counted, np.searchsorted(ends, chance, side="right"), -1)
        of_group = {
            str(one): resample(share_of_faces(matches.face_offsets, ~unfound, group == one), weights)
            for one in range(groups)
            if (group == one).any()
        }
        between = gap(of_group, by_chance=0.0)
        if between is not None:
            yield f"gap of {groups} groups", between.interval


@dataclass(slots=True)
class Coverage:
    """How one number fared over the samples.

    Attributes:
        truth: of the population.
        held: for each sample with an interval, whether it holds the truth.
        widths: of the intervals.
        effective: numbers of images that they rest on.
    """

    truth: float
    held: list[bool]
    widths: list[float]
    effective: list[float]

    @property
    def share(self) -> float:
        """Of the samples that hold the truth."""
        return float(np.mean(self.held)) if self.held else math.nan

    def add(self, found: Interval) -> None:
        """Count one sample; without an interval none is counted."""
        if math.isfinite(found.low):
            self.held.append(found.low - 1e-12 <= self.truth <= found.high + 1e-12)
            self.widths.append(found.high - found.low)
            self.effective.append(found.effective)


def cover(
    population: Population,
    images: int,
    samples: int,
    *,
    draws: int = 1000,
    seed: int = 0,
    of: Callable[[Population, int, int], Mapping[str, Interval]] = numbers,
) -> dict[str, Coverage]:
    """Draw samples of so many images and count how often each interval holds the number of the population.

    Args:
        population: its own numbers are the truth; of gaps between shuffled groups it is 0.
        images: of a sample.
        samples: how many.
        draws: resamples of a sample.
        seed: of the samples.
        of: what is asked of a sample, with draws and seed.
    """
    rng = np.random.default_rng(seed)
    truth = {name: 0.0 if name.startswith("gap") else one.value for name, one in of(population, 1, 0).items()}
    counted = {name: Coverage(value, [], [], []) for name, value in truth.items()}
    with one_blas_thread():
        for number in range(samples):
            chosen = np.zeros(population.faces.images, dtype=np.bool_)
            chosen[rng.permutation(len(chosen))[:images]] = True
            for name, found in of(population.sample(chosen), draws, number).items():
                if name in counted:
                    counted[name].add(found)
    return counted


def ties(population: Population, images: int, samples: int, *, draws: int = 1000, seed: int = 0) -> float:
    """Return in which share of samples any of twelve detectors that are equal is told apart from the best."""
    rng = np.random.default_rng(seed)
    told = 0
    with one_blas_thread():
        for number in range(samples):
            chosen = np.zeros(population.faces.images, dtype=np.bool_)
            chosen[rng.permutation(len(chosen))[:images]] = True
            sample = population.sample(chosen)
            first = next(iter(sample.detectors.values()))
            weights = draw_weights(images, draws=draws, seed=number)
            equal = {
                str(place): resample(
                    ExactAP(match(sample.faces, *noisy_scores(first, rng)), sample.lists[sample.hardest]), weights
                )
                for place in range(EQUAL)
            }
            told += len(tied_with_best(equal)) < EQUAL
    return told / samples


def table(found: Mapping[int, Mapping[str, Coverage]]) -> str:
    """Lay out coverage, median width and median effective number of each number for each size of a sample."""
    sizes = list(found)
    head = ["number", "truth", *(f"{size} images: held, width, k" for size in sizes)]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, first in found[sizes[0]].items():
        cells = []
        for size in sizes:
            one = found[size][name]
            shown = f"{one.share:.3f}, {np.median(one.widths):.3f}, {np.median(one.effective):.1f}" if one.held else "–"
            cells.append(shown)
        lines.append("| " + " | ".join([name, f"{first.truth:.3f}", *cells]) + " |")
    return "\n".join(lines)


def main(
    run: Annotated[Path, typer.Argument(help="Results folder with many images.")],
    samples: Annotated[int, typer.Option(help="Of each size.")] = 400,
    images: Annotated[str, typer.Option(help="Sizes of a sample, comma-separated.")] = "30,130,500",
    draws: Annotated[int, typer.Option(help="Resamples of a sample.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
) -> None:
    """Print how often each interval holds the number of the population."""
    population = of_run(run)
    found = {}
    for size in map(int, images.split(",")):
        found[size] = cover(population, size, samples, draws=draws, seed=seed)
        told = ties(population, size, max(1, samples // 4), draws=draws, seed=seed)
        typer.echo(
            f"{size} images: any of {EQUAL} equal detectors told apart in {100 * told:.0f} % of samples", err=True
        )
    typer.echo(table(found))


def _select(boxes: ImageBoxes, chosen: NDArray[np.bool_]) -> tuple[ImageBoxes, NDArray[np.bool_]]:
    """Return the boxes of the chosen images, bool (images,), and which they were."""
    counts = np.diff(boxes.offsets)
    kept = np.repeat(chosen, counts)
    return ImageBoxes(boxes.boxes[kept], np.concatenate([[0], np.cumsum(counts[chosen])]).astype(np.int64)), kept


if __name__ == "__main__":
    typer.run(main)
