"""The rule on arrays, against the paired intervals it is defined by, and what is read from a run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.choose.candidates import HALVES, load_candidates, metrics, threshold_for
from facebench.benchmarks.choose.rule import (
    Candidates,
    Rule,
    also_possible,
    halves,
    pareto,
    reach,
    shares,
    tied,
    winners,
)
from facebench.benchmarks.resampling.bootstrap import Resampled
from facebench.benchmarks.resampling.ranking import reach as reach_of
from facebench.benchmarks.resampling.ranking import tied_with_best
from facebench.tests.support import runs


def candidates(ap: np.ndarray, p50: np.ndarray | None = None) -> Candidates:
    speed = np.ones_like(ap) if p50 is None else np.broadcast_to(p50, ap.shape)
    return Candidates(ap, speed, speed, reach_of(resampled(ap)))


def resampled(ap: np.ndarray) -> list[Resampled]:
    """Detectors whose numbers rest on many images alike."""
    images = np.tile([1.0, -1.0], 500)
    return [Resampled(of[0], of[1:], images * place) for place, of in enumerate(ap.T)]


@pytest.mark.parametrize("seed", range(20))
def test_tied_are_those_whose_paired_interval_holds_zero(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = rng.uniform(0.5, 0.6, 6)
    samples = value + rng.normal(0, 0.03, (300, 6)) + rng.normal(0, 0.1, (300, 1))
    ap = np.concatenate([value[None], samples])
    rule = Rule(most_given_up=1)
    found = tied(candidates(ap), rule, reach(candidates(ap), rule))[0]
    expected = tied_with_best({str(i): one for i, one in enumerate(resampled(ap))})
    assert set(np.flatnonzero(found).tolist()) == set(map(int, expected))


def test_undefined_numbers_are_neither_tied_nor_chosen() -> None:
    ap = np.array([[0.5, math.nan, 0.4], [math.nan, math.nan, math.nan], [0.5, 0.9, 0.4]])
    rule = Rule(tie=0)
    of = candidates(ap)
    chosen = winners(of, rule, reach(of, rule))
    assert chosen.tolist() == [0, -1, 1]
    assert shares(of, chosen) == {1: 1.0}, "of the two draws one is undefined"
    assert shares(candidates(ap[:2]), chosen[:2]) == {}


def test_a_limit_of_time_holds_in_every_draw() -> None:
    times = np.array([[10.0, 50.0], [70.0, 50.0], [70.0, 90.0]])
    ap = np.array([[0.9, 0.5]] * 3)
    rule = Rule(tie=0, max_p90_ms=60)
    of = candidates(ap, times)
    assert winners(of, rule, reach(of, rule)).tolist() == [0, 1, -1]


QUIET = (1.0, 1.0)


@pytest.mark.parametrize(
    ("p50", "noise", "rule", "others"),
    [
        ([10, 12], [QUIET, QUIET], Rule(tie=0.1), []),
        ([10, 12], [QUIET, (0.9, 1.0)], Rule(tie=0.1), []),
        ([10, 12], [QUIET, (0.8, 1.0)], Rule(tie=0.1), [1]),  # 9.6 ms in quiet
        ([10, 12], [(0.5, 1.0), QUIET], Rule(tie=0.1), []),  # noise that only slows cannot make the fastest another
        ([10, 12], [(0.8, 1.25), QUIET], Rule(tie=0.1), [1]),  # drift may
        ([10, 12, 12.5], [QUIET, (0.5, 1.0), (0.7, 1.0)], Rule(tie=0.1), [1, 2]),
        ([10, 12], [QUIET, (0.1, 1.0)], Rule(tie=0), []),  # not tied: its speed does not matter
        ([10, 65], [QUIET, (0.9, 1.0)], Rule(tie=0, max_p90_ms=60), [1]),  # the more accurate one may keep the limit
        ([58, 12], [(0.9, 1.1), QUIET], Rule(tie=0, max_p90_ms=60), [1]),  # and the one chosen may not
    ],
)
def test_noise_leaves_open_whom_the_rule_would_choose(
    p50: list[float], noise: list[tuple[float, float]], rule: Rule, others: list[int]
) -> None:
    """Where a limit lies between, the second is the more accurate of the two, else the first."""
    ap = np.array([[0.9, 0.95 if p50[1] == 65 else 0.89, 0.85][: len(p50)]] * 2)
    of = candidates(ap, np.array(p50, dtype=float))
    assert also_possible(of, rule, reach(of, rule), np.array(noise)) == others


@pytest.mark.parametrize(
    ("ap", "p50", "front"),
    [
        ([], [], []),
        ([0.5], [1], [0]),
        ([0.5, 0.5], [1, 1], [0]),
        ([0.5, 0.6], [1, 1], [1]),
        ([0.9, 0.5, 0.8], [50, 5, 60], [1, 0]),
        ([math.nan, 0.5], [1, 9], [1]),
    ],
)
def test_pareto(ap: list[float], p50: list[float], front: list[int]) -> None:
    assert pareto(ap, p50) == front


@pytest.mark.parametrize("images", [1, 2, 7, 130])
def test_halves_are_half_of_the_images_each_as_often_as_any_other(images: int) -> None:
    drawn = halves(images, draws=2000, seed=3)
    assert set(drawn.sum(axis=1)) == {images // 2}
    np.testing.assert_allclose(drawn.mean(axis=0), (images // 2) / images, atol=0.06)
    np.testing.assert_array_equal(drawn[:5], halves(images, draws=5, seed=3))


def test_a_run_gives_its_own_numbers_and_draws_of_them(tmp_path: Path) -> None:
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT, 20)
    runs.add_cell(run, "poor", runs.POOR, 5)
    summary = summarise_run(run)
    measured, on_halves = load_candidates(summary, summary.rows, "ap_overall")
    for place, row in enumerate(summary.rows):
        assert row.latency is not None
        assert measured.ap[0, place] == on_halves.ap[0, place] == pytest.approx(row.exact_ap("overall"))
        assert measured.p50_ms[0, place] == pytest.approx(row.latency.p50_ms)
        assert measured.p90_ms[0, place] == pytest.approx(row.latency.p90_ms)
        np.testing.assert_array_equal(measured.ap[1:, place], row.exact_draws["overall"].samples)
    assert len(on_halves.ap) == 1 + HALVES
    again = load_candidates(summary, [replace(row, exact_draws={}) for row in summary.rows], "ap_overall")
    for known, computed in zip((measured, on_halves), again, strict=True):
        np.testing.assert_array_equal(known.ap, computed.ap)


def test_small_faces_are_those_lower_than_32_pixels(tmp_path: Path) -> None:
    """Of the made-up faces three are 20 pixels high and one, to be ignored among them; one is 200."""
    run = runs.make_run(tmp_path)
    large = runs.EXACT[runs.HOSTILE]
    runs.add_cell(run, "large alone", {runs.HOSTILE: large})
    runs.add_cell(run, "small alone", {name: of for name, of in runs.EXACT.items() if name != runs.HOSTILE})
    summary = summarise_run(run)
    assert metrics(summary)["ap_small"] == "overall"
    measured, _ = load_candidates(summary, summary.rows, "ap_small")
    found = {row.cell.spec: ap for row, ap in zip(summary.rows, measured.ap[0], strict=True)}
    assert found == {"large alone": 0, "small alone": 1}


def test_a_threshold_for_a_precision_is_read_from_the_run(tmp_path: Path) -> None:
    """Hits at 0.9 in all images, a false alarm at 0.3 in each: half precision below that."""
    faces = {f"{n}.jpg": [((10, 10, 30, 30), False)] for n in range(8)}
    run = runs.make_run(tmp_path, faces=faces, sizes=dict.fromkeys(faces, (200, 100)))
    runs.add_cell(run, "a", {name: [((10, 10, 30, 30), 0.9), ((90, 10, 120, 30), 0.3)] for name in faces})
    summary = summarise_run(run)
    strict, lax = (threshold_for(summary, summary.rows[0], wanted) for wanted in (0.95, 0.5))
    assert strict.score_threshold == pytest.approx(0.9)
    assert lax.score_threshold == pytest.approx(0.3)
    assert (strict.got, lax.got) == (1.0, 0.5)
