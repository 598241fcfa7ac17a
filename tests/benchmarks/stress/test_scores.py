"""The figures of robustness: by hand, against the scores of ordinary runs, and where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.analysis.table import Resampling, summarise_run
from facebench.benchmarks.resampling.bootstrap import Resampled, draw_weights, resample
from facebench.benchmarks.resampling.statistics import Ratio
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.stress.run import Condition, run_stress
from facebench.benchmarks.stress.scores import CLEAN, rank, score_stress
from facebench.datasets.degraded.degradations import Degradation
from facebench.errors import UsageError
from facebench.tests.support.small_dataset import make_dataset
from facebench.tests.support.watched_runs import plan
from numpy.typing import NDArray

BLUR = [Degradation("blur", severity) for severity in (1, 2, 3)]
NOISE = Degradation("noise", 1)
DARK = Degradation("darkness", 2)
TURNED = Degradation("rotation", 5)


def conditions(*degradations: Degradation) -> list[Condition]:
    return [Condition(one, one.words, "f") for one in degradations]


def steady(value: float, draws: int = 4) -> Resampled:
    return of_images(value, np.full(draws, value))


def of_images(value: float, samples: NDArray[np.float64]) -> Resampled:
    """A number that rests on many images alike."""
    return Resampled(value, samples, value * np.tile([1.0, -1.0], 500))


def ranked(measured, *degradations: Degradation):
    named = {key: (key, draws) for key, draws in measured.items()}
    return rank(named, conditions(*degradations), "hard", 10, Resampling(draws=4))


def test_the_figures_by_hand():
    """Kinds weigh the same, however many severities each was run at."""
    draws = {CLEAN: steady(0.8), **dict(zip(BLUR, map(steady, (0.7, 0.6, 0.5)), strict=True)), NOISE: steady(0.2)}
    row = ranked({"a": draws}, *BLUR, NOISE).rows[0]
    assert row.mean_ap.value == pytest.approx((0.6 + 0.2) / 2)
    assert row.kept.value == pytest.approx(0.5)
    assert {kind: one.value for kind, one in row.kept_by_kind.items()} == pytest.approx({"blur": 0.75, "noise": 0.25})
    assert [point.change.value for point in row.points] == pytest.approx([-0.1, -0.2, -0.3, -0.6])
    assert (row.kept.low, row.kept.high) == pytest.approx((0.5, 0.5))


def test_shares_and_changes_are_paired():
    """Draws in which everything is easy or hard move AP and leave the share kept where it is."""
    clean = of_images(0.6, np.array([0.2, 0.4, 0.6, 0.8]))
    half = of_images(0.3, clean.samples / 2)
    row = ranked({"a": {CLEAN: clean, NOISE: half}}, NOISE).rows[0]
    assert row.clean.high - row.clean.low > 0.5
    assert (row.kept.value, row.kept.low, row.kept.high) == pytest.approx((0.5, 0.5, 0.5))
    assert row.points[0].change.high <= -0.1


def test_robust_is_not_the_same_as_good():
    scores = ranked(
        {
            "good": {CLEAN: steady(0.9), NOISE: steady(0.6)},
            "robust": {CLEAN: steady(0.3), NOISE: steady(0.29)},
        },
        NOISE,
    )
    assert [row.label for row in scores.rows] == ["robust", "good"]
    assert (scores.tied, scores.best_ap, scores.first) == (("robust",), ("good",), {"robust": 1.0, "good": 0.0})
    assert scores.differences["robust", "good"].interval.low > 0


@pytest.mark.parametrize(
    ("draws", "missing", "by_kind"),
    [
        ({CLEAN: steady(0.5)}, "blur:1 noise:1", set()),
        ({CLEAN: steady(0.5), NOISE: steady(0.5)}, "blur:1", {"noise"}),
        ({CLEAN: steady(0.0), NOISE: steady(0.0), BLUR[0]: steady(0.0)}, "", {"blur", "noise"}),
        ({CLEAN: steady(math.nan), NOISE: steady(math.nan), BLUR[0]: steady(math.nan)}, "", {"blur", "noise"}),
    ],
    ids=["nothing run", "one missing", "no AP to keep", "no face"],
)
def test_who_has_no_figure_is_last_and_says_what_is_missing(draws, missing, by_kind):
    whole = {CLEAN: steady(0.5), NOISE: steady(0.1), BLUR[0]: steady(0.1)}
    scores = ranked({"half": draws, "whole": whole}, BLUR[0], NOISE)
    first, last = scores.rows
    assert (first.label, last.label, scores.tied) == ("whole", "half", ("whole",))
    assert math.isnan(last.kept.value) and " ".join(map(str, last.missing)) == missing
    assert set(last.kept_by_kind) == by_kind


def test_nothing_to_rank():
    scores = ranked({}, NOISE)
    assert (scores.rows, scores.tied, scores.first) == ((), (), {})
    assert ranked({"a": {CLEAN: steady(0.5)}}).rows[0].missing == ()


def test_draws_must_be_the_same():
    two = {"a": {CLEAN: steady(0.5), NOISE: steady(0.5)}, "b": {CLEAN: steady(0.5, 5), NOISE: steady(0.5, 5)}}
    with pytest.raises(UsageError, match="same draws"):
        ranked(two, NOISE)


def made_up(rng, kept: dict[str, float], images: int, draws: int):
    """Detectors that find faces by chance: of 20 an image, as many as the image is easy, times what is kept."""
    easy = rng.uniform(0.2, 0.9, images)
    faces = np.full(images, 20.0)
    weights = draw_weights(images, draws=draws, seed=int(rng.integers(2**31)))
    found = {}
    for name, share in kept.items():
        hits = {one: rng.binomial(20, easy * part) for one, part in ((CLEAN, 1.0), (BLUR[0], share), (NOISE, share))}
        found[name] = {one: resample(Ratio(some.astype(float), faces), weights) for one, some in hits.items()}
    return found


def test_the_interval_of_the_figure_holds_the_truth_as_often_as_it_says():
    """400 made-up data sets of which we know what is kept: 95 % of the intervals hold it, give or take 3 of these."""
    rng = np.random.default_rng(11)
    held, apart, tied_wrongly = [], [], []
    for _ in range(400):
        scores = ranked(made_up(rng, {"a": 0.6, "b": 0.6, "c": 0.4}, 60, 200), BLUR[0], NOISE)
        rows = {row.label: row for row in scores.rows}
        held.append(rows["a"].kept.low <= 0.6 <= rows["a"].kept.high)
        apart.append("c" not in scores.tied)
        tied_wrongly.append({"a", "b"} <= set(scores.tied))
    assert 0.91 <= np.mean(held) <= 0.98
    assert np.mean(apart) > 0.99
    assert np.mean(tied_wrongly) >= 0.91


@pytest.mark.slow
@pytest.mark.usefixtures("hostile")
def test_a_stress_run_scores_like_the_runs_that_it_is_made_of(tmp_path):
    """AP and intervals of every degradation are those that each folder has as an ordinary run, of the same draws."""
    small = make_dataset(5, sources={3: b"no image"})
    folder = run_stress(plan(small, "Good"), tmp_path / "run", [DARK, TURNED])
    scores = score_stress(folder)
    row = scores.rows[0]
    assert (scores.images, scores.list_name, row.missing) == (4, "overall", ())
    for name, ap in (("", row.clean), ("stress/darkness-2", row.points[0].ap), ("stress/rotation-5", row.points[1].ap)):
        alone = summarise_run(RunFolder.open(tmp_path / "run" / name)).rows[0]
        assert alone.intervals.exact["overall"] == ap
    # Good finds the face at the same share of width and height, where it is no more in an image that was turned
    assert (row.clean.value, row.points[0].ap.value, row.points[1].ap.value) == (1.0, 1.0, 0.0)
    assert row.kept.value == pytest.approx(0.5)


@pytest.mark.usefixtures("hostile")
def test_what_has_not_been_run_is_missing_and_another_run_has_no_scores(tmp_path, small):
    folder = run_stress(plan(small, "Good"), tmp_path / "run", [DARK])
    (tmp_path / "run" / "stress" / "darkness-2" / "pictures.parquet").unlink()
    scores = score_stress(folder)
    assert [str(one) for one in scores.rows[0].missing] == ["darkness:2"]
    assert score_stress(RunFolder.open(tmp_path / "run" / "stress" / "darkness-2")) is None
