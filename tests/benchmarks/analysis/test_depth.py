"""A run in depth: every field against numbers worked by hand, intervals against plain loops over repeated images."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from facebench.benchmarks.analysis import detector_depth as cell_analysis
from facebench.benchmarks.analysis.depth import Analysis, CellAnalysis, analyse
from facebench.benchmarks.analysis.table import Resampling, load_summary, summarise_run
from facebench.benchmarks.resampling.bootstrap import Interval, draw_weights
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.tests.support import depth_run, oracle, runs
from facebench.tests.support.depth_run import numbers
from facebench.tests.support.plain_ends import plain_ends  # noqa: F401
from numpy.typing import NDArray

DRAWS, SEED = 60, 3
EASY, HARD = {depth_run.C, depth_run.E}, {depth_run.A, depth_run.B, depth_run.C, depth_run.E}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return depth_run.make_both(tmp_path_factory.mktemp("analysis"))


@pytest.fixture(scope="module")
def analysis(run: RunFolder) -> Analysis:
    return analyse(summarise_run(run), Resampling(draws=DRAWS, seed=SEED))


def key_of(run: RunFolder, spec: str) -> str:
    return next(cell.key for cell in run.cells if cell.spec == spec)


@pytest.fixture(scope="module")
def fair(run: RunFolder, analysis: Analysis) -> CellAnalysis:
    return analysis.cells[key_of(run, "fair")]


@pytest.fixture(scope="module")
def good(run: RunFolder, analysis: Analysis) -> CellAnalysis:
    return analysis.cells[key_of(run, "good")]


def images_of(found: runs.Found, counted: set[runs.Box]) -> list[oracle.Image]:
    """The run as the oracle reads it."""
    return [
        oracle.Image(
            [box for box, _ in depth_run.FACES.get(name, [])],
            [box in counted for box, _ in depth_run.FACES.get(name, [])],
            [box for box, _ in found.get(name, [])],
            [score for _, score in found.get(name, [])],
        )
        for name in depth_run.SIZES
    ]


def resampled(statistic, found, counted, draws=DRAWS) -> NDArray[np.float64]:
    """The statistic of each draw, with images really repeated."""
    images = images_of(found, counted)
    weights = draw_weights(len(images), draws=draws, seed=SEED)
    return np.array(
        [statistic([one for one, times in zip(images, row, strict=True) for _ in range(times)]) for row in weights]
    )


def same_interval(found: Interval, value: float, samples: NDArray[np.float64]) -> None:
    samples = samples[~np.isnan(samples)]
    assert found.value == pytest.approx(value, abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(samples, [0.025, 0.975])), abs=1e-12)
    assert (found.draws, found.confidence) == (len(samples), 0.95)


@pytest.mark.parametrize(
    ("name", "exact", "official", "coco"),
    [
        # easy: C is the second box that counts, behind the one on no face, which the official protocol does not see
        ("easy", 0.5 * 1 / 2, 0.5, 0.5 * 51 / 101),
        # hard: two of four faces at a precision of 2/3; COCO reads 51 of its 101 recalls
        ("hard", 0.5 * 2 / 3, 0.5, 2 / 3 * 51 / 101),
        ("overall", 0.5 * 2 / 3, 0.5, 2 / 3 * 51 / 101),
    ],
)
def test_average_precisions(fair, name, exact, official, coco):
    found = fair.lists[name]
    assert found.exact.value == pytest.approx(exact, abs=1e-12)
    assert found.official.value == pytest.approx(official, abs=1e-12)
    # every hit is exact, so that no IoU threshold changes anything; the duplicate asks for the face that is ignored
    assert [found.coco.value, found.coco50.value, found.coco75.value] == pytest.approx([coco] * 3, abs=1e-9)


def test_everything_found_is_one_everywhere(good):
    for found in good.lists.values():
        for one in (found.exact, found.official, found.coco, found.coco50, found.coco75):
            assert (one.value, one.low, one.high) == pytest.approx((1, 1, 1), abs=1e-12)


@pytest.mark.parametrize(("name", "counted"), [("easy", EASY), ("hard", HARD), ("overall", HARD)])
def test_intervals_are_those_of_repeated_images(fair, name, counted):
    for found, statistic in (
        (fair.lists[name].exact, oracle.exact_ap),
        (fair.lists[name].official, oracle.official_ap),
    ):
        same_interval(
            found, statistic(images_of(depth_run.FAIR, counted)), resampled(statistic, depth_run.FAIR, counted)
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [("precision", 2 / 5), ("recall", 2 / 4), ("f1", 4 / 9), ("false_alarms_per_image", 3 / 4), ("mean_iou", 1.0)],
)
def test_operating_point(fair, name, value):
    samples = resampled(lambda images: oracle.at_threshold(images, 0.5)[name], depth_run.FAIR, HARD)
    same_interval(fair.operating[name], value, samples)


@pytest.mark.parametrize(
    ("group", "name", "faces", "images", "exact", "recall"),
    [
        ("height in px", "below 16", 1, 1, 0, 0),
        ("height in px", "16–32", 1, 1, 1 / 2, 1),
        ("height in px", "32–96", 1, 1, 0, 0),
        ("height in px", "96–200", 1, 1, 1 / 2, 1),
        ("height in px", "200–400", 0, 0, math.nan, math.nan),
        ("height in px", "400–1,000", 0, 0, math.nan, math.nan),
        ("height in px", "from 1,000", 0, 0, math.nan, math.nan),
        # images of 200 by 100 pixels: B fills 0.7 % of its own, A 2 %, E 12.5 %, C half
        ("share of image", "below 1 %", 1, 1, 0, 0),
        ("share of image", "1–5 %", 1, 1, 1 / 2, 1),
        ("share of image", "5–20 %", 1, 1, 0, 0),
        ("share of image", "20–50 %", 0, 0, math.nan, math.nan),
        ("share of image", "from 50 %", 1, 1, 1 / 2, 1),
        # A and C behind the box on no face
        ("blur", "clear", 2, 2, 2 / 3, 1),
        ("blur", "normal", 1, 1, 0, 0),
        ("blur", "heavy", 1, 1, 0, 0),
        ("pose", "typical", 3, 2, 4 / 9, 2 / 3),
        ("pose", "atypical", 1, 1, 0, 0),
        # a slice of images leaves the box on no face behind, in an image of none
        ("faces an image", "1", 1, 1, 0, 0),
        ("faces an image", "2-5", 3, 2, 2 / 3, 2 / 3),
        ("faces an image", "6-20", 0, 0, math.nan, math.nan),
        ("faces an image", "21-100", 0, 0, math.nan, math.nan),
        ("faces an image", "over 100", 0, 0, math.nan, math.nan),
        ("event", "0--A", 3, 2, 2 / 3, 2 / 3),
        ("event", "1--B", 1, 1, 0, 0),
        ("perceived gender", "Female", 2, 2, 2 / 3, 1),
        ("perceived gender", "Male", 2, 2, 0, 0),
    ],
)
def test_slices(fair, group, name, faces, images, exact, recall):
    part = next(part for part in fair.slices if (part.group, part.name) == (group, name))
    assert (part.faces, part.images) == (faces, images)
    assert [part.exact.value, part.recall.value] == pytest.approx([exact, recall], abs=1e-12, nan_ok=True)


def test_every_slice_is_in_the_table_above(fair):
    assert len(fair.slices) == 26


def test_the_gap_between_groups(fair, good):
    gap = fair.gaps["perceived gender"]
    assert (gap.best, gap.worst, gap.interval.value) == ("Female", "Male", 1.0)
    assert gap.interval.low < 0 and gap.interval.high == 1.0, "three images show nothing"
    assert 0 < gap.by_chance < 1
    # a draw without a labelled face of either group has no gap
    weights = draw_weights(4, draws=DRAWS, seed=SEED)
    assert gap.interval.draws == int(
        (((weights[:, 0] + weights[:, 1]) > 0) & ((weights[:, 0] + weights[:, 2]) > 0)).sum()
    )
    assert good.gaps["perceived gender"].interval.value == 0.0
    assert set(fair.gaps) == {"perceived gender"}


def test_sweep_and_end_of_the_curve(fair):
    assert fair.sweep.thresholds == pytest.approx([0.95, 0.9, 0.8, 0.75, 0.7], abs=1e-6)
    assert fair.sweep.hits.tolist() == [0, 1, 2, 2, 2]
    assert fair.sweep.false_alarms.tolist() == [1, 1, 1, 2, 3]
    assert fair.sweep.precision == pytest.approx([0, 1 / 2, 2 / 3, 1 / 2, 2 / 5])
    assert fair.sweep.recall == pytest.approx([0, 1 / 4, 1 / 2, 1 / 2, 1 / 2])
    end = fair.curve_end
    assert (end.recall, end.precision, end.average_precision) == pytest.approx((1 / 2, 2 / 5, 1 / 3))
    assert (end.lowest_score, end.is_cut) == (pytest.approx(0.7, abs=1e-6), False)


def test_a_long_curve_keeps_its_ends_and_no_long_gap(tmp_path):
    """Of 2,000 boxes the first 300 are hits: there the curve moves, and there its points must be."""
    faces = [((x, y, x + 8.0, y + 8.0), False) for x in np.arange(30) * 10.0 for y in np.arange(10) * 10.0]
    wrong = [((1000.0 + 10 * i, 500.0, 1008.0 + 10 * i, 508.0), 0.5 - i / 4000) for i in range(1700)]
    name = depth_run.ONE
    run = runs.make_run(tmp_path, sizes={name: (400, 400)}, faces={name: faces})
    runs.add_cell(run, "a", {name: [*((box, 0.9 - i / 1000) for i, (box, _) in enumerate(faces)), *wrong]})
    found = analyse(summarise_run(run), Resampling(draws=2)).cells[key_of(run, "a")].sweep
    assert (found.recall[0], found.precision[0]) == (1 / 300, 1)
    assert (found.recall[-1], found.precision[-1]) == (1, 300 / 2000)
    assert len(found) < 200
    # the best of all 2,000 thresholds: after the last hit, before the first wrong box
    assert found.f1.max() == found.f2.max() == 1
    assert np.hypot(np.diff(found.recall), np.diff(found.precision)).max() < 0.03


def test_chosen_thresholds(fair, good):
    targets = [(choice.rate, choice.wanted) for choice, _ in fair.choices]
    assert targets == [("precision", 0.95), ("false_alarms_per_image", 0.1)]
    for choice, _ in (*fair.choices, *good.choices):
        assert (choice.choosing_images, choice.reporting_images) == (2, 2)
    assert [choice.got for choice, _ in good.choices] == [1.0, 0.0]
    assert [ends.value for _, ends in good.choices] == [1.0, 0.0]
    assert all(choice.at_floor for choice, _ in good.choices)


def test_box_habit(fair):
    assert (fair.overlap.hits, fair.overlap.mean.value, fair.overlap.p95) == (2, 1.0, 1.0)
    habit = fair.habit
    assert (habit.hits, habit.dx.value, habit.dy.value) == (2, 0.0, 0.0)
    assert (habit.width_ratio.value, habit.height_ratio.value) == (1.0, 1.0)
    assert {iou: one.before for iou, one in fair.unbiased.items()} == {0.5: pytest.approx(1 / 3), 0.75: 1 / 3}


def test_a_box_habit_is_measured_and_taken_out(tmp_path):
    """Every box is 1.25 times as wide and a tenth of the width too far right."""
    wider = {
        name: [((x1 - 0.025 * (x2 - x1), y1, x2 + 0.225 * (x2 - x1), y2), 0.9) for (x1, y1, x2, y2), _ in faces]
        for name, faces in depth_run.FACES.items()
    }
    run = depth_run.make_run(tmp_path)
    runs.add_cell(run, "wide", wider)
    found = analyse(summarise_run(run), Resampling(draws=2)).cells[key_of(run, "wide")]
    assert found.habit.width_ratio.value == pytest.approx(1.25, abs=1e-5)
    assert (found.habit.dx.value, found.habit.dy.value) == pytest.approx((0.1, 0), abs=1e-6)
    assert (found.unbiased[0.5].before, found.unbiased[0.5].after) == (1.0, 1.0)
    assert found.overlap.mean.value == pytest.approx(0.8, abs=1e-6)


def test_a_box_habit_costs_more_where_a_hit_must_overlap_more(tmp_path):
    """Every box is 1.5 times as wide: an IoU of two thirds."""
    wider = {
        name: [((x1, y1, x2 + 0.5 * (x2 - x1), y2), 0.9) for (x1, y1, x2, y2), _ in faces]
        for name, faces in depth_run.FACES.items()
    }
    run = depth_run.make_run(tmp_path)
    runs.add_cell(run, "wide", wider)
    found = analyse(summarise_run(run)).cells[key_of(run, "wide")]
    assert {iou: one.before for iou, one in found.unbiased.items()} == {0.5: 1.0, 0.75: 0.0}


@pytest.mark.parametrize(("threshold", "found"), [(0.5, 2), (0.85, 1), (0.95, 0)])
def test_recall_of_slices_is_read_at_the_operating_threshold(tmp_path, threshold, found):
    run = depth_run.make_run(tmp_path)
    runs.add_cell(run, "first", {})
    runs.add_cell(run, "fair", depth_run.FAIR, start={"operating_threshold": threshold})
    fair = analyse(summarise_run(run), Resampling(draws=2)).cells[key_of(run, "fair")]
    for group in ("height in px", "share of image", "blur", "pose"):
        parts = [part for part in fair.slices if part.group == group and part.faces]
        assert sum(part.faces * part.recall.value for part in parts) == found
    assert fair.operating["recall"].value == found / 4


def test_error_kinds(fair):
    costs = {kind: (cost.count, cost.count_at_threshold, cost.delta_ap) for kind, cost in fair.errors.kinds.items()}
    assert costs == {
        "duplicate": (1, 1, pytest.approx(0)),
        # moved onto E it is the third hit among five boxes
        "badly_placed": (1, 1, pytest.approx(3 / 5 / 4)),
        "near_ignored": (0, 0, 0),
        "background": (1, 1, pytest.approx(1 / 2 - 1 / 3)),
        # without B two of three faces are found
        "missed": (1, 1, pytest.approx(2 / 3 * 2 / 3 - 1 / 3)),
    }
    assert (fair.errors.unfound_at_threshold, fair.errors.faces) == (2, 4)


def test_missed_faces(fair):
    found = {
        name: {key: (one.faces, one.unfound) for key, one in groups.items()} for name, groups in fair.misses.items()
    }
    assert found == {
        "height in px": {"below 16": (1, 1), "16–32": (1, 0), "32–96": (1, 1), "96–200": (1, 0)},
        "blur": {0: (2, 0), 1: (1, 1), 2: (1, 1)},
    }


def test_calibration(fair):
    assert fair.calibration is not None
    assert (fair.calibration.detections, fair.calibration.hits, fair.calibration.score_floor) == (5, 2, 0.02)
    brier = (0.95**2 + 0.1**2 + 0.2**2 + 0.75**2 + 0.7**2) / 5
    assert fair.calibration.brier == pytest.approx(brier, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "scores", "calibrated"),
    [
        ("probability", (0.9, 0.3), True),
        ("probability", (1.1, 0.3), False),
        ("probability", (0.9, -0.1), False),
        ("margin", (2.5, -0.4), False),
        ("none", (1.0, 1.0), False),
    ],
)
def test_only_probabilities_are_calibrated(tmp_path, kind, scores, calibrated):
    run = depth_run.make_run(tmp_path)
    runs.add_cell(run, "first", {})
    start = {"operating_threshold": float(np.finfo(np.float32).min), "score_floor": min(scores)}
    found = {depth_run.ONE: [(depth_run.A, scores[0]), (depth_run.B, scores[1])]}
    runs.add_cell(run, "second", found, info={"score_kind": kind}, start=start)
    one = analyse(summarise_run(run), Resampling(draws=2)).cells[key_of(run, "second")]
    assert (one.calibration is not None) is calibrated
    assert one.operating["recall"].value == 0.5
    assert len(one.sweep) == len(set(scores))
    assert one.lists["hard"].exact.value == 0.5


def test_no_detection_at_all(tmp_path):
    run = depth_run.make_run(tmp_path)
    runs.add_cell(run, "blind", {})
    found = analyse(summarise_run(run), Resampling(draws=5)).cells[key_of(run, "blind")]
    assert found.calibration is None
    assert (found.lists["hard"].exact.value, found.operating["recall"].value) == (0.0, 0.0)
    assert math.isnan(found.operating["precision"].value)
    assert (len(found.sweep), found.habit.hits, found.curve_end.is_cut) == (0, 0, False)
    assert [(choice.reached, ends) for choice, ends in found.choices] == [(False, None)] * 2


def test_differences_are_paired(run, analysis):
    first, second = key_of(run, "good"), key_of(run, "fair")
    assert list(analysis.differences) == [(first, second)]
    difference = analysis.differences[first, second]
    samples = 1.0 - resampled(oracle.exact_ap, depth_run.FAIR, HARD)
    same_interval(difference.interval, 1 - 1 / 3, samples)
    defined = samples[~np.isnan(samples)]
    assert difference.share_above == pytest.approx(np.mean((defined > 0) + 0.5 * (defined == 0)))
    assert analysis.tied == (first, second), "four images do not tell them apart"
    assert analysis.first == pytest.approx({first: difference.share_above, second: 1 - difference.share_above})
    assert analysis.resampled == Resampling(draws=DRAWS, seed=SEED)


def test_two_that_find_the_same_are_tied(tmp_path):
    run = depth_run.make_run(tmp_path)
    runs.add_cell(run, "a", depth_run.FAIR)
    runs.add_cell(run, "b", depth_run.FAIR)
    found = analyse(summarise_run(run), Resampling(draws=20))
    assert set(found.tied) == set(found.cells)
    assert list(found.first.values()) == [0.5, 0.5]
    (difference,) = found.differences.values()
    assert (difference.interval.low, difference.interval.high, difference.share_above) == (0, 0, 0.5)


def test_by_event_draws_whole_events(run):
    """Of two events three draws are possible: A twice, both, B twice, where no face of B is ever found."""
    found = (
        analyse(summarise_run(run), Resampling(draws=200, by_event=True)).cells[key_of(run, "fair")].lists["hard"].exact
    )
    assert (found.value, found.low, found.high) == pytest.approx((1 / 3, 0, 2 / 3))


def test_two_lists_of_the_same_faces_have_the_same_interval(fair):
    assert fair.lists["hard"].exact == fair.lists["overall"].exact


def test_without_lists_all_faces_that_are_not_ignored_count(tmp_path):
    run = depth_run.make_run(tmp_path, lists=(), columns={})
    runs.add_cell(run, "fair", depth_run.FAIR)
    found = analyse(summarise_run(run), Resampling(draws=5)).cells[key_of(run, "fair")]
    assert list(found.lists) == ["overall"]
    assert found.lists["overall"].exact.value == pytest.approx(1 / 3)
    assert {part.group for part in found.slices} == {"height in px", "share of image", "faces an image", "event"}
    assert (dict(found.gaps), list(found.misses)) == ({}, ["height in px"])


def test_images_without_a_folder_have_no_events(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT)
    found = analyse(summarise_run(run), Resampling(draws=5)).cells[key_of(run, "exact")]
    assert {part.group for part in found.slices} == {"height in px", "share of image", "faces an image"}


@pytest.mark.parametrize("status", [None, "failed"])
def test_a_run_without_finished_cells(tmp_path, status):
    run = depth_run.make_run(tmp_path)
    if status:
        runs.add_cell(run, "broken", status=status, start=None)
    found = analyse(summarise_run(run), Resampling(draws=5))
    assert (dict(found.cells), dict(found.first), tuple(found.tied), dict(found.differences)) == ({}, {}, (), {})


def test_the_seed_gives_the_same_numbers_in_a_fresh_process(run, analysis):
    program = (
        "import sys; from pathlib import Path\n"
        "from facebench.benchmarks.analysis.depth import analyse\n"
        "from facebench.benchmarks.analysis.table import Resampling, load_summary\n"
        "from facebench.tests.support.depth_run import numbers\n"
        "from facebench.benchmarks.resampling.effective import Basis\n"
        "Basis.widen = lambda self, value, ends: ends\n"
        f"print(numbers(analyse(load_summary(Path(sys.argv[1])), Resampling(draws={DRAWS}, seed={SEED}))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(run.path)],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == numbers(analysis)
    other = analyse(load_summary(run.path), Resampling(draws=DRAWS, seed=SEED + 1))
    assert numbers(other) != numbers(analysis)


def test_what_the_summary_has_resampled_is_taken_from_it(run, analysis, monkeypatch):
    """`analysis` is of other draws than those of its summary, so that all of it was computed."""
    summary = summarise_run(run, Resampling(draws=DRAWS, seed=SEED))
    forgotten = replace(summary, rows=[replace(row, exact_draws={}) for row in summary.rows])
    assert numbers(analyse(forgotten)) == numbers(analysis)
    monkeypatch.setattr(cell_analysis, "exact_draws", None)
    assert numbers(analyse(summary)) == numbers(analysis)
