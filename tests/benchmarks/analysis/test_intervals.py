"""Intervals of the main table: against plain loops over images that are really repeated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.analysis import intervals as module
from facebench.benchmarks.analysis.intervals import Calls, latency_intervals
from facebench.benchmarks.analysis.table import Resampling, Row, Summary, summarise_run
from facebench.benchmarks.resampling.bootstrap import Interval, draw_weights
from facebench.benchmarks.scoring import score
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.timing.latency import summarise
from facebench.errors import UsageError
from facebench.tests.support import depth_run, oracle, runs
from facebench.tests.support.plain_ends import plain_ends  # noqa: F401
from numpy.typing import NDArray

DRAWS, OFFICIAL_DRAWS, SEED, THRESHOLD = 60, 25, 3, 0.5
COUNTED = {
    "easy": {depth_run.C, depth_run.E},
    "hard": {depth_run.A, depth_run.B, depth_run.C, depth_run.E},
    "overall": {depth_run.A, depth_run.B, depth_run.C, depth_run.E},
}
MILLISECONDS = dict(zip(depth_run.SIZES, (5.0, 6.0, 7.0, 8.0), strict=True))
"""As `runs.add_cell` writes them for 5 ms."""


def repeated(images, draws=DRAWS):
    """The images of each draw, as often as it holds them."""
    weights = draw_weights(len(images), draws=draws, seed=SEED)
    return [[one for one, times in zip(images, row, strict=True) for _ in range(times)] for row in weights]


def same(found: Interval, value: float, samples: list[float]) -> None:
    defined = np.array([one for one in samples if not math.isnan(one)])
    assert found.value == pytest.approx(value, abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(defined, [0.025, 0.975])), abs=1e-12)
    assert (found.draws, found.confidence) == (len(defined), 0.95)


def images_of(name: str) -> list[oracle.Image]:
    return [
        oracle.Image(
            [box for box, _ in depth_run.FACES.get(image_id, [])],
            [box in COUNTED[name] for box, _ in depth_run.FACES.get(image_id, [])],
            [box for box, _ in depth_run.FAIR.get(image_id, [])],
            [score for _, score in depth_run.FAIR.get(image_id, [])],
        )
        for image_id in depth_run.SIZES
    ]


def row_of(summary: Summary, spec: str) -> Row:
    return next(row for row in summary.rows if row.cell.spec == spec)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = depth_run.make_both(tmp_path_factory.mktemp("intervals"))
    runs.add_cell(run, "blind", {})
    runs.add_cell(run, "broken", status="failed", reason="it broke", start=None)
    return run


@pytest.fixture(scope="module")
def summary(run: RunFolder) -> Summary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "OFFICIAL_DRAWS", OFFICIAL_DRAWS)
        return summarise_run(run, Resampling(seed=SEED, draws=DRAWS))


@pytest.mark.parametrize("name", COUNTED)
def test_average_precisions_of_repeated_images(summary, name):
    ends, images = row_of(summary, "fair").intervals, images_of(name)
    same(ends.exact[name], oracle.exact_ap(images), [oracle.exact_ap(one) for one in repeated(images)])
    same(
        ends.official[name],
        oracle.official_ap(images),
        [oracle.official_ap(one) for one in repeated(images, OFFICIAL_DRAWS)],
    )


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "false_alarms_per_image", "mean_iou"])
def test_the_operating_point_of_repeated_images(summary, name):
    images = images_of("overall")
    same(
        row_of(summary, "fair").intervals.operating[name],
        oracle.at_threshold(images, THRESHOLD)[name],
        [oracle.at_threshold(one, THRESHOLD)[name] for one in repeated(images)],
    )


@pytest.mark.parametrize("name", ["p50_ms", "p90_ms", "images_per_second"])
def test_latency_of_repeated_images(summary, name):
    times = list(MILLISECONDS.values())
    same(
        row_of(summary, "fair").intervals.latency[name],
        getattr(summarise(times), name),
        [getattr(summarise(one), name) for one in repeated(times)],
    )


def test_every_value_is_that_of_the_plain_functions(summary):
    truth = summary.reader.truth
    lists = {name: truth.masks[name] for name in ("easy", "hard")}
    for row in summary.rows[:3]:
        read = summary.reader.matched(row.cell)
        ignore, threshold = ~truth.masks["overall"], row.cell.operating_threshold
        found = score(truth.faces, read.boxes, read.scores, score_threshold=threshold, ignore=ignore, lists=lists)
        plain = {**found.lists, "overall": found.overall}
        ends = row.intervals
        pairs = {
            **{(name, "exact"): (one.value, plain[name].exact_ap) for name, one in ends.exact.items()},
            **{(name, "official"): (one.value, plain[name].official_ap) for name, one in ends.official.items()},
            **{name: (one.value, getattr(found.overall.at_threshold, name)) for name, one in ends.operating.items()},
            **{name: (one.value, getattr(row.latency, name)) for name, one in ends.latency.items()},
        }
        assert len(pairs) == 3 + 3 + 5 + 3
        for name, (value, number) in pairs.items():
            assert value == pytest.approx(number, abs=1e-12, nan_ok=True), name


def test_what_a_detector_that_finds_nothing_has(summary):
    ends = row_of(summary, "blind").intervals
    assert (ends.operating["recall"].low, ends.operating["recall"].high) == (0, 0)
    for name in ("precision", "mean_iou"):
        assert math.isnan(ends.operating[name].low), "undefined in every draw"
        assert ends.operating[name].draws == 0


def test_a_cell_that_is_not_done_has_none(summary):
    ends = row_of(summary, "broken").intervals
    assert not (ends.exact or ends.official or ends.operating or ends.latency)


def test_the_same_seed_gives_the_same_intervals(run):
    def ends(seed: int) -> list[str]:
        return [repr(row.intervals) for row in summarise_run(run, Resampling(seed=seed, draws=DRAWS)).rows]

    assert ends(1) == ends(1) != ends(2)


def test_a_float32_score_reaches_its_threshold_in_every_draw(tmp_path):
    run = depth_run.make_run(tmp_path)
    start = {"operating_threshold": 0.7, "score_floor": 0.0}
    start |= dict.fromkeys(("spawn_s", "import_s", "load_s", "first_call_s"), 0.1)
    found = {name: [(box, 0.7) for box, _ in boxes] for name, boxes in depth_run.FACES.items()}
    runs.add_cell(run, "edge", found, start=start)
    (row,) = summarise_run(run, Resampling(draws=DRAWS)).rows
    recall = row.intervals.operating["recall"]
    assert (recall.value, recall.low, recall.high) == (1, 1, 1)


def calls(*timed: tuple[int, float]) -> Calls:
    image, times = ([one[part] for one in timed] for part in (0, 1))
    number = [image[:place].count(one) for place, one in enumerate(image)]
    return Calls(np.array(image, np.int64), np.array(number, np.int64), np.array(times, np.float64), summarise(times))


def samples_of(found: dict[str, Interval]) -> NDArray[np.float64]:
    """With a single draw both ends are its value."""
    assert all(one.low == one.high for one in found.values())
    return np.array([one.low for one in found.values()])


@pytest.mark.parametrize(
    ("timed", "weights", "expected"),
    [
        pytest.param([(0, 4.0), (1, 8.0), (2, 20.0)], [2, 0, 1], [4.0, 4.0, 20.0], id="weight two is a repetition"),
        pytest.param([(0, 4.0), (0, 6.0), (1, 8.0)], [2, 1], [4.0, 6.0, 4.0, 6.0, 8.0], id="all rounds of an image"),
        pytest.param([(1, 8.0)], [3, 1], [8.0], id="an image that was not timed adds nothing"),
        pytest.param([(2, 9.0), (0, 3.0)], [1, 5, 1], [3.0, 9.0], id="in any order"),
    ],
)
def test_latency_of_weighted_images(timed, weights, expected):
    found = latency_intervals(calls(*timed), np.array([weights]))
    of = summarise(expected)
    assert samples_of(found) == pytest.approx([of.p50_ms, of.p90_ms, of.images_per_second], abs=1e-12)


@pytest.mark.parametrize(("rounds", "apart"), [(2, 0.015), (3, 0.005), (3, 0.05), (5, 0.015)])
def test_latency_intervals_hold_what_other_processes_take(rounds, apart):
    """Images that all take 20 ms, by processes that differ: nothing else moves the median or the mean from there."""
    random = np.random.default_rng(rounds)
    weights = draw_weights(30, draws=200, seed=1)
    image, number = np.tile(np.arange(30), rounds), np.repeat(np.arange(rounds), 30)
    held = []
    for _ in range(300):
        process = random.normal(0, apart, rounds)
        ms = 20 * np.exp(process[number] + random.normal(0, 0.002, rounds * 30))
        found = latency_intervals(Calls(image, number, ms, summarise(ms)), weights)
        held += [
            found[name].low <= truth <= found[name].high for name, truth in (("p50_ms", 20), ("images_per_second", 50))
        ]
    assert np.mean(held) >= 0.92


def test_of_one_round_a_latency_interval_is_that_of_its_process():
    ms = 20 * np.exp(np.random.default_rng(1).normal(0, 0.01, 60))
    one = Calls(np.arange(60), np.zeros(60, np.int64), ms, summarise(ms))
    again = Calls(np.tile(np.arange(60), 2), np.repeat([0, 1], 60), np.append(ms, ms * 1.02), summarise(ms))
    weights = draw_weights(60, draws=200, seed=1)
    narrow, wide = (latency_intervals(calls, weights)["p50_ms"] for calls in (one, again))
    assert narrow.high / narrow.low < 1.02
    assert wide.high / wide.low > 1.1


@pytest.mark.parametrize(("timed", "weights"), [([], [1, 1]), ([(0, 5.0)], [0, 2])], ids=["no call", "none drawn"])
def test_without_a_drawn_call_there_is_no_latency_interval(timed, weights):
    found = latency_intervals(calls(*timed), np.array([weights]))
    assert [(math.isnan(one.low), one.draws) for one in found.values()] == [(True, 0)] * 3


def test_weights_of_other_images_are_refused(summary, run, monkeypatch):
    monkeypatch.setattr(Resampling, "weights", lambda self, image_ids: draw_weights(len(image_ids) + 1, draws=2))
    with pytest.raises(UsageError, match=r"weights must be whole numbers \(draws, 4\)"):
        summarise_run(run)
