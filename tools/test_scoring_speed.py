"""What scoring costs on the full WIDER FACE val: `pytest tools/test_scoring_speed.py --wider FOLDER`.

FOLDER is that of WIDER FACE, the folder `wider_predictions` beside it holds the reference predictions: 3,226 images
with 297,333 boxes. Everything is measured in one run with the boxes in memory, and printed as ratios, since seconds are
those of one machine on one day. Of repeated runs the shortest counts: others only tell what else the machine did.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.resampling.average_precision import CocoAP, ExactAP
from facebench.benchmarks.resampling.bootstrap import Resampled, draw_weights, paired_difference, resample
from facebench.benchmarks.resampling.official import OfficialAP
from facebench.benchmarks.scoring import (
    ImageBoxes,
    count,
    exact_average_precision,
    match,
    official_average_precision,
)
from facebench.benchmarks.scoring.coco import COCO_THRESHOLDS, coco_overlaps, coco_verdicts
from facebench.tests.support import oracle
from facebench.tests.support.reference import PREDICTIONS, Reference, load_reference
from numpy.typing import NDArray

ROUNDS = 7
DRAWS = 1000

Scored = dict[str, tuple[float, float]]


@pytest.fixture(scope="module")
def reference(pytestconfig: pytest.Config) -> Reference:
    root: Path | None = pytestconfig.getoption("--wider")
    if root is None:
        pytest.skip("needs --wider FOLDER with the annotation of WIDER FACE val")
    if not (root.parent / PREDICTIONS).is_file():
        pytest.skip(f"needs the reference predictions at {root.parent / PREDICTIONS}")
    return load_reference(root)


def three_lists(reference: Reference) -> Scored:
    """Official and exact AP of easy, medium and hard."""
    matches = match(reference.faces, reference.detections, reference.scores)
    return {name: both(count(matches, mask)) for name, mask in reference.lists.items()}


def both(counts: Any) -> tuple[float, float]:
    return official_average_precision(counts), exact_average_precision(counts)


def shortest_s(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


@pytest.mark.slow
@pytest.mark.benchmark(group="scoring")
def test_against_plain_loops(benchmark: Any, reference: Reference, say: list[str]) -> None:
    """The loops match once a list, as the official code does; the ratio counts their matching once for all three."""
    images = reference.images(reference.lists["hard"])
    faces = int(reference.lists["hard"].sum())
    began = time.perf_counter()
    judged = [oracle.judge(image) for image in images]
    judge_s = time.perf_counter() - began
    low, high = reference.scores.min(), reference.scores.max()
    began = time.perf_counter()
    normalised = [one._replace(scores=[(score - low) / (high - low) for score in one.scores]) for one in judged]
    official = oracle.curve_area(normalised, [1 - k / 1000 for k in range(1, 1001)], faces)
    ranked = sorted((-s, v) for one in judged for s, v in zip(one.scores, one.verdicts, strict=True))
    together = oracle.Judged([-s for s, _ in ranked], [v for _, v in ranked], [], [])
    exact = oracle.curve_area([together], sorted(set(together.scores), reverse=True), faces)
    curves_s = time.perf_counter() - began

    scored = benchmark.pedantic(three_lists, args=(reference,), rounds=ROUNDS, warmup_rounds=1)
    assert scored["hard"] == pytest.approx((official, exact), abs=1e-12, rel=0)
    if benchmark.disabled:
        return
    ours_s = benchmark.stats.stats.min
    loops_s = judge_s + 3 * curves_s
    ratio = loops_s / ours_s
    benchmark.extra_info |= {"plain_loops_s": loops_s, "plain_loops_over_ours": ratio}
    say.append(
        f"scoring three lists, official and exact: {ours_s:.3f} s, {ratio:.0f} times as fast as plain loops that "
        f"match once for all ({loops_s:.1f} s), {3 * (judge_s + curves_s) / ours_s:.0f} times those that do so a list"
    )
    assert ratio > 20


def as_hotcoco(hotcoco: Any, reference: Reference, mask: NDArray[np.bool_]) -> tuple[Any, Any]:
    """Truth and results in hotcoco's memory; an area out of range marks the faces to be ignored."""

    def rows(owner: ImageBoxes, **columns: NDArray[Any]) -> list[dict[str, Any]]:
        x1, y1, x2, y2 = owner.boxes.T
        boxes, images = np.stack([x1, y1, x2 - x1, y2 - y1], axis=1).tolist(), owner.image.tolist()
        names, values = list(columns), zip(*(column.tolist() for column in columns.values()), strict=True)
        return [
            {
                "id": i + 1,
                "image_id": p + 1,
                "category_id": 1,
                "bbox": box,
                "iscrowd": 0,
                **dict(zip(names, v, strict=True)),
            }
            for i, (p, box, v) in enumerate(zip(images, boxes, values, strict=True))
        ]

    truth = hotcoco.COCO(
        {
            "images": [
                {"id": i + 1, "width": 1024, "height": 1024, "file_name": name}
                for i, name in enumerate(reference.names)
            ],
            "annotations": rows(reference.faces, area=np.where(mask, 1e6, 1e12)),
            "categories": [{"id": 1, "name": "face"}],
        }
    )
    return truth, truth.load_res(rows(reference.detections, score=reference.scores))


@pytest.mark.benchmark(group="scoring")
def test_against_hotcoco_on_one_list(benchmark: Any, reference: Reference, say: list[str]) -> None:
    """The hard list at one IoU: hotcoco's AP50, and ours by the rules of COCO and by those of WIDER FACE."""
    hotcoco = pytest.importorskip("hotcoco", reason="needs hotcoco to compare with")
    mask = reference.lists["hard"]
    faces, detections, scores = reference.faces, reference.detections, reference.scores
    truth, results = as_hotcoco(hotcoco, reference, mask)

    def theirs() -> float:
        evaluation = hotcoco.COCOeval(truth, results, "bbox")
        params = evaluation.params
        params.iouThrs, params.maxDets, params.areaRng, params.areaRngLbl = [0.5], [1, 10, 10**6], [[0, 1e10]], ["all"]
        evaluation.params = params
        evaluation.evaluate()
        evaluation.accumulate()
        return float(np.array(evaluation.eval["precision"])[..., -1].mean())

    def ours_coco() -> float:
        ap50 = CocoAP(coco_overlaps(faces, detections, scores), mask, COCO_THRESHOLDS[:1])
        return float(ap50(np.ones((1, faces.images), np.int8))[0])

    def ours_wider() -> tuple[float, float]:
        return both(count(match(faces, detections, scores), mask))

    assert benchmark.pedantic(ours_coco, rounds=ROUNDS, warmup_rounds=1) == pytest.approx(theirs(), abs=1e-9)
    if benchmark.disabled:
        return
    # In turns, so that what else the machine does meets both.
    turns = [(shortest_s(theirs, 1), shortest_s(ours_coco, 1), shortest_s(ours_wider, 1)) for _ in range(2 * ROUNDS)]
    theirs_s, coco_s, wider_s = np.min(turns, axis=0).tolist()
    benchmark.extra_info |= {"hotcoco_s": theirs_s, "ours_coco_s": coco_s, "ours_wider_s": wider_s}
    say.append(
        f"one list at one IoU: hotcoco takes {theirs_s / coco_s:.1f} times as long as our COCO AP50 and "
        f"{theirs_s / wider_s:.1f} times as long as our official and exact AP together ({theirs_s:.3f}, {coco_s:.3f}, "
        f"{wider_s:.3f} s; hotcoco on up to {os.cpu_count()} cores, ours on one)"
    )


def perturbed(reference: Reference) -> Reference:
    """A second detector: the boxes of the first moved by 4 % of their size, its scores by 0.02."""
    rng = np.random.default_rng(0)
    boxes = reference.detections.boxes
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    moved = ImageBoxes(boxes + rng.normal(0, 0.04, boxes.shape) * size, reference.detections.offsets)
    scores = reference.scores + rng.normal(0, 0.02, len(boxes))
    return Reference(reference.names, reference.faces, moved, scores, reference.lists)


def bootstrap(detectors: list[Reference], statistic: str, draws: int = DRAWS) -> dict[str, list[Resampled]]:
    """Match both detectors and score every draw on every list."""
    weights = draw_weights(len(detectors[0].names), draws=draws)
    values: dict[str, list[Resampled]] = {name: [] for name in detectors[0].lists}
    for one in detectors:
        matches = match(one.faces, one.detections, one.scores)
        overlaps = coco_overlaps(one.faces, one.detections, one.scores) if statistic == "AP50" else None
        for name, mask in one.lists.items():
            if overlaps is not None:
                values[name].append(resample(CocoAP(overlaps, mask, COCO_THRESHOLDS[:1]), weights))
            else:
                kind = ExactAP if statistic == "exact" else OfficialAP
                values[name].append(resample(kind(matches, mask), weights))
    return values


@pytest.mark.slow
@pytest.mark.benchmark(group="bootstrap")
@pytest.mark.parametrize("statistic", ["exact", "official", "AP50"])
def test_bootstrap(benchmark: Any, reference: Reference, say: list[str], statistic: str) -> None:
    """1,000 paired draws of two detectors on three lists, matching included, over one scoring of the three lists."""
    detectors = [reference, perturbed(reference)]
    scoring_s = shortest_s(lambda: three_lists(reference))
    values = benchmark.pedantic(bootstrap, args=(detectors, statistic), rounds=2)
    difference = paired_difference(*values["hard"]).interval
    assert difference.low <= difference.value <= difference.high
    if benchmark.disabled:
        return
    ratio = benchmark.stats.stats.min / scoring_s
    benchmark.extra_info |= {"scoring_s": scoring_s, "bootstrap_over_scoring": ratio}
    say.append(
        f"bootstrap of {statistic}, {DRAWS:,} paired draws of two detectors on three lists: {ratio:.0f} times one "
        f"scoring; hard: first less second {difference.value:+.4f}, {difference.low:+.4f} to {difference.high:+.4f}"
    )
    assert ratio < 60


@pytest.mark.slow
def test_memory(reference: Reference, say: list[str]) -> None:
    """The peak of what NumPy and Python hold, beyond the boxes: scoring, COCO at ten thresholds, the bootstrap."""
    detectors = [reference, perturbed(reference)]
    jobs: dict[str, Callable[[], object]] = {
        "scoring": lambda: three_lists(reference),
        "COCO": lambda: coco_verdicts(
            coco_overlaps(reference.faces, reference.detections, reference.scores), reference.lists["hard"]
        ),
        "bootstrap": lambda: bootstrap(detectors, "exact", draws=DRAWS),
    }
    peaks_mb = {}
    for name, work in jobs.items():
        tracemalloc.start()
        work()
        peaks_mb[name] = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    say.append("peak memory beyond the boxes: " + ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks_mb.items()))
    assert max(peaks_mb.values()) < 500
