"""The gate: what fails, what passes, what neither can be shown nor ruled out."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
from facebench.benchmarks.compare.gate import GateResult, accuracy_verdict, gate
from facebench.benchmarks.compare.limits import DetectorLimits, GateLimits, read_limits
from facebench.benchmarks.compare.pair import AccuracyChange
from facebench.benchmarks.compare.runs import compare_runs
from facebench.benchmarks.resampling.bootstrap import Interval
from facebench.benchmarks.timing.change import latency_change
from facebench.errors import UsageError
from facebench.tests.support import two_runs
from facebench.tests.support.records import stored
from facebench.tests.support.two_runs import IMAGES, found, runs, times, two


def outcomes(result: GateResult) -> dict[str, str]:
    return {judgement.criterion: judgement.verdict.outcome for judgement in result.judgements}


def change(low: float, high: float, images: int = 40, value: float | None = None) -> AccuracyChange:
    middle = (low + high) / 2 if value is None else value
    return AccuracyChange("hard", 0.5, 0.5 + middle, Interval(middle, low, high, 0.95, 1000), 0.5, 0.5, images)


NAN = math.nan


@pytest.mark.parametrize(
    ("found", "outcome", "needs", "words"),
    [
        (change(NAN, NAN), "inconclusive", "images", "no face counts"),
        (change(-0.9, -0.8, images=5), "inconclusive", "images", "5 images with a face can show"),
        (change(0.0, 0.0, images=1), "inconclusive", "images", "1 image with a face can show nothing, use 6 or"),
        (change(-0.09, 0.05, images=5), "inconclusive", "images", "use 6 or more; about 245 would decide it"),
        (change(-0.03, -0.02), "fail", None, "0.5000 → 0.4750, −0.0250 (95 %: −0.0300 to −0.0200), limit −0.01"),
        (change(-0.02, -0.01), "inconclusive", "images", "about 40 images"),
        (change(-0.0101, 0.02), "inconclusive", "images", "about 101 images with a face would decide it"),
        (change(-0.01, 0.02, 98), "inconclusive", "images", "no loss beyond it seen on 98 images"),
        (change(-0.01, 0.02, 4000), "pass", None, "no loss beyond it seen on 4,000 images with a face; up to 0.075 %"),
        (change(0.0, 0.0, 148), "inconclusive", "images", "up to 2 % of images may differ; about 150 images"),
        (change(0.0, 0.0, 150), "pass", None, "no loss seen on 150 images with a face; up to 2 % of images may differ"),
        (change(0.1, 0.2), "pass", None, "+0.1500"),
        (change(-0.012, -0.008), "inconclusive", "person", "more images would hardly decide it"),
        (change(-0.111, 0.089, images=12), "inconclusive", "images", "about 1,200 images with a face"),
        (change(-0.021, 0.0, value=-0.01), "inconclusive", "person", "more images would hardly decide it"),
        (change(-0.03, -0.008, value=-0.02), "inconclusive", "images", "about 58 images"),
    ],
    ids=[
        "no face", "large on few images", "nothing on one image", "anything on few images", "wholly below",
        "reaches the limit from below", "just over the limit", "no room for what was not seen",
        "reaches the limit from above", "no change, too few",
        "no change, enough", "gain",
        "at the limit", "near the limit by a wide interval", "at the limit by a narrow one", "probably a loss",
    ],
)  # fmt: skip
def test_accuracy(found, outcome, needs, words):
    verdict = accuracy_verdict(found, 0.01)
    assert (verdict.outcome, verdict.needs) == (outcome, needs) and words in verdict.reason


NOT_TIMED = {"rounds": 0}


@pytest.mark.parametrize(("images", "outcome"), [(1, "inconclusive"), (148, "inconclusive"), (150, "pass")])
def test_identical_detections_pass_where_images_are_enough_or_nothing_else_could_be(images, outcome):
    found = change(0.0, 0.0, images)
    seen = accuracy_verdict(found, 0.01, identical=True)
    assert seen.outcome == outcome and seen.reason.startswith("identical detections, AP (hard) 0.5000")
    assert ("--identical-is-enough" in seen.reason) == (outcome == "inconclusive")
    certain = accuracy_verdict(found, 0.01, identical=True, certain=True)
    assert (certain.outcome, certain.reason) == ("pass", "identical detections")


def test_few_images_and_a_change_that_none_of_them_shows(tmp_path):
    comparison = compare_runs(*two(tmp_path, head={"code": "1" * 16} | NOT_TIMED, base=NOT_TIMED))
    assert outcomes(gate(comparison))["accuracy"] == "inconclusive"
    assert outcomes(gate(comparison, identical_is_enough=True))["accuracy"] == "pass"


@pytest.mark.parametrize("loss", [0.0, 0.002, -0.002])
@pytest.mark.parametrize("half", [0.0, 0.004, 0.02])
def test_as_many_images_as_advised_decide(loss, half):
    few = change(-loss - half, -loss + half, images=60)
    advised = int(re.search(r"about ([\d,]+) images", accuracy_verdict(few, 0.01).reason)[1].replace(",", ""))
    for images, outcome in ((advised * 9 // 10, "inconclusive"), (advised, "pass")):
        narrower = half * math.sqrt(60 / images)
        assert accuracy_verdict(change(-loss - narrower, -loss + narrower, images), 0.01).outcome == outcome


FROM_A_FILE = NOT_TIMED | {"predictions": {"remarks": []}}
SLOWED = {"ms": times(factor=1.3, seed=5)}


@pytest.mark.parametrize(
    ("base", "head", "expected", "code"),
    [
        ({}, {}, {"completed": "pass", "accuracy": "pass", "latency": "pass"}, 0),
        ({}, {"boxes": found(range(0, 40, 2))}, {"completed": "pass", "accuracy": "fail", "latency": "pass"}, 1),
        ({}, {"boxes": found([4])}, {"completed": "pass", "accuracy": "inconclusive", "latency": "pass"}, 3),
        ({}, {"boxes": found(shift=0.5)}, {"completed": "pass", "accuracy": "inconclusive", "latency": "pass"}, 3),
        ({}, SLOWED, {"completed": "pass", "accuracy": "pass", "latency": "fail"}, 1),
        (SLOWED, {}, {"completed": "pass", "accuracy": "pass", "latency": "pass"}, 0),
        (
            {"ms": times(1)}, {"ms": times(1, factor=1.3, seed=5)},
            {"completed": "pass", "accuracy": "pass", "latency": "inconclusive"}, 3,
        ),
        (
            {}, {"failed_images": {IMAGES[2]: "broke"}},
            {"completed": "fail", "accuracy": "pass", "latency": "pass"}, 1,
        ),
        (
            {"failed_images": {IMAGES[2]: "broke"}}, {"failed_images": {IMAGES[2]: "broke"}},
            {"completed": "pass", "accuracy": "pass", "latency": "pass"}, 0,
        ),
        ({}, NOT_TIMED, {"completed": "pass", "accuracy": "pass", "latency": "inconclusive"}, 3),
        (
            FROM_A_FILE, FROM_A_FILE,
            {"completed": "pass", "accuracy": "pass"}, 0,
        ),
    ],
    ids=[
        "the same", "planted loss", "a loss within noise", "other boxes as good", "slower", "faster", "one round",
        "fails on an image", "failed on it before", "timings on one side", "predictions on both",
    ],
)  # fmt: skip
def test_runs(tmp_path, base, head, expected, code):
    result = gate(compare_runs(*two(tmp_path, base=base, head=head)))
    assert outcomes(result) == expected
    assert result.exit_code() == code
    assert result.exit_code(inconclusive_ok=True) == (0 if code == 3 else code)


@pytest.mark.parametrize(
    ("grown", "limit", "expected"),
    [(150.0, None, None), (109.0, 0.1, "pass"), (111.0, 0.1, "fail"), (None, 0.1, "inconclusive")],
    ids=["not judged", "within", "beyond", "not measured"],
)
def test_memory(tmp_path, grown, limit, expected):
    comparison = compare_runs(*two(tmp_path, head={"peak_rss_mb": grown}))
    result = gate(comparison, GateLimits(DetectorLimits(max_memory_growth=limit)))
    assert outcomes(result).get("memory") == expected


@pytest.mark.parametrize("status", ["failed", "unavailable", "running"])
def test_done_before_and_not_now_is_a_fail_with_the_reason(tmp_path, status):
    base, head = two_runs.start_run(tmp_path / "a"), two_runs.start_run(tmp_path / "b")
    two_runs.add(base)
    runs.add_cell(head, "haar", status=status, reason="out of memory")
    (only,) = gate(compare_runs(base, head)).judgements
    assert only.verdict.outcome == "fail"
    assert only.verdict.reason == f"done in the base, {status} in the head: out of memory"


def test_a_missing_cell_fails_and_what_cannot_be_judged_is_noted(tmp_path):
    base, head = two_runs.start_run(tmp_path / "a"), two_runs.start_run(tmp_path / "b")
    for spec in ("haar", "yunet"):
        two_runs.add(base, spec)
    runs.add_cell(base, "hog", status="failed", reason="broke")
    runs.add_cell(base, "ssd", status="unavailable", reason="no model")
    for spec in ("haar", "hog", "mtcnn"):
        two_runs.add(head, spec)
    result = gate(compare_runs(base, head))
    failed = [(one.detector, one.criterion) for one in result.judgements if one.verdict.outcome == "fail"]
    assert failed == [("yunet", "completed")]
    assert result.notes == (
        "hog: failed in the base: broke; not judged",
        "ssd: unavailable in the base: no model, and not in the head; not judged",
        "mtcnn: in the head only (done); not judged",
    )


@pytest.mark.parametrize(
    ("head", "noted"),
    [({}, False), (SLOWED, True), (SLOWED | {"code": "1" * 16}, False), (SLOWED | {"boxes": found(shift=0.5)}, False)],
    ids=["no slower", "slower for no reason", "other code", "other detections"],
)
def test_a_slowdown_that_nothing_explains_is_noted(tmp_path, head, noted):
    result = gate(compare_runs(*two(tmp_path, head=head)))
    assert [note.startswith("haar: nothing that goes into it has changed") for note in result.notes] == [True] * noted


def test_latencies_of_two_machines_are_refused_or_inconclusive_never_judged(tmp_path):
    comparison = compare_runs(*two(tmp_path, head=SLOWED, environment={"machine": "Other, 8 cores"}))
    with pytest.raises(UsageError, match=r"machine: Abacus <2 cores> and Other, 8 cores.*--indicative"):
        gate(comparison)
    result = gate(comparison, indicative=True)
    assert outcomes(result) == {"completed": "pass", "accuracy": "pass", "latency": "inconclusive"}


@pytest.mark.parametrize(
    ("base", "head", "factor", "expected"),
    [
        ([0, 20, 40, 60], [10, 30, 50, 70], 1.3, "fail"),
        ([0, 10, 20, 30], [40, 50, 60, 70], 1.3, "inconclusive"),
        ([40, 50, 60, 70], [0, 10, 20, 30], 1.3, "inconclusive"),
        ([0, 10, 20, 30], [40, 50, 60, 70], 0.7, "pass"),
        ([], [], 1.3, "inconclusive"),
        ([0, 1, 2, 30], [10, 11, 12, 31], 1.3, "inconclusive"),
        ([0, 1, 20, 30], [10, 11, 25, 35], 1.3, "fail"),
        ([0, 30, 40, 70], [10, 20, 50, 60], 1.3, "fail"),
    ],
    ids=[
        "in turn", "base first", "head first", "base first, much faster", "not known", "one more of each in turn",
        "three in turn after two at once", "swapping",
    ],
)  # fmt: skip
def test_rounds_that_did_not_take_turns_cannot_fail(tmp_path, base, head, factor, expected):
    """A load that comes between two runs slows the later one; no number of rounds shows that."""
    slower = {"ms": times(factor=factor, seed=5), "rounds_started": head}
    result = gate(compare_runs(*two(tmp_path, base={"rounds_started": base}, head=slower)))
    assert outcomes(result)["latency"] == expected
    reason = next(one.verdict.reason for one in result.judgements if one.criterion == "latency")
    assert ("one after the other" in reason) == (expected == "inconclusive")


def test_rounds_at_once_stay_out_of_the_change_and_are_noted(tmp_path):
    """After three of each at once, on a machine that then grew 1.3 times as slow, three of each in turn decide."""
    quiet, slow = times(3, seed=1), 1.3 * times(3, seed=2)
    sides = {"ms": np.vstack([quiet, slow]), "rounds_started": [0, 1, 2, 20, 22, 24], "rounds": 6}
    others = {"ms": 1.3 * times(6, seed=3), "rounds_started": [10, 11, 12, 21, 23, 25], "rounds": 6}
    result = gate(compare_runs(*two(tmp_path, base=sides, head=others)))
    assert outcomes(result)["latency"] == "pass"
    [note] = result.notes
    assert note.startswith("haar: of 6 rounds 3 were measured in turn with the other side's")


def test_a_run_without_any_finished_detector_is_wrong_use(tmp_path):
    base, head = two_runs.start_run(tmp_path / "a"), two_runs.start_run(tmp_path / "b")
    with pytest.raises(UsageError, match="nothing to judge"):
        gate(compare_runs(base, head))
    runs.add_cell(base, "haar", status="failed", reason="broke")
    two_runs.add(head)
    with pytest.raises(UsageError, match=r"no detector of .* is done. haar: failed in the base: broke"):
        gate(compare_runs(base, head))


def test_the_same_code_does_not_fail_and_a_tenth_is_found(tmp_path):
    """Twenty A/A comparisons of five rounds, and twenty with a head slower by 10 %."""
    comparison = compare_runs(*two(tmp_path))
    said: dict[float, list[str]] = {1.0: [], 1.1: []}
    for factor, results in said.items():
        for seed in range(20):
            latency = latency_change(times(5, seed=100 + seed), times(5, factor=factor, seed=200 + seed))
            cells = (dataclasses.replace(comparison.cells[0], latency=latency),)
            results.append(outcomes(gate(dataclasses.replace(comparison, cells=cells)))["latency"])
    assert "fail" not in said[1.0] and said[1.0].count("pass") >= 18
    assert said[1.1].count("fail") >= 18


@pytest.mark.parametrize(
    ("text", "spec", "expected"),
    [
        ("", "haar", (0.05, 0.005, None)),
        ("[default]\nmax_slowdown = 0.2", "haar", (0.2, 0.005, None)),
        ('[default]\nmax_ap_loss = 0\n[detector."haar"]\nmax_slowdown = 1', "haar", (1.0, 0.0, None)),
        ('[detector.haar]\nmax_slowdown = 1\n[detector."haar:a=1"]\nmax_ap_loss = 1', "haar:a=1", (0.05, 1.0, None)),
        ('[detector.haar]\nmax_slowdown = 0.3', "haar:a=2", (0.3, 0.005, None)),
        ('[detector.haar]\nmax_memory_growth = 0.1', "yunet", (0.05, 0.005, None)),
        ('[default]\nmax_memory_growth = 0.1', "yunet", (0.05, 0.005, 0.1)),
    ],
    ids=["empty", "default", "on top of the default", "spec before name", "name for any spec", "another", "memory"],
)  # fmt: skip
def test_limits(tmp_path, text, spec, expected):
    (tmp_path / "limits.toml").write_text(text)
    limits = read_limits(tmp_path / "limits.toml").of(stored("other"), stored(spec))
    assert (limits.max_slowdown, limits.max_ap_loss, limits.max_memory_growth) == expected


def test_options_take_the_place_of_the_default_only(tmp_path):
    (tmp_path / "limits.toml").write_text("[default]\nmax_slowdown = 0.2\n[detector.haar]\nmax_slowdown = 0.3")
    limits = read_limits(tmp_path / "limits.toml", max_slowdown=0.1, max_ap_loss=0.5)
    assert limits.default == DetectorLimits(0.1, 0.5)
    assert limits.detectors["haar"] == DetectorLimits(0.3, 0.5)
    assert read_limits().default == DetectorLimits()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[default", "limits.toml is not TOML"),
        ("[defualt]", r"unknown section \[defualt\]. Did you mean default\?"),
        ("default = 3", "default is 3, expected a table"),
        ("[detector]\nhaar = 3", r'detector."haar" is 3, expected a table'),
        ("[default]\nmax_slow = 0.1", r"\[default\]: unknown key 'max_slow'. Did you mean max_slowdown\?"),
        ('[default]\nmax_ap_loss = "1 %"', "max_ap_loss is '1 %', expected a number"),
        ("[default]\nmax_ap_loss = true", "max_ap_loss is True, expected a number"),
        ("[detector.haar]\nmax_slowdown = -0.1", r'\[detector."haar"\]: max_slowdown is -0.1, expected a fraction'),
        ("[default]\nmax_slowdown = nan", "max_slowdown is nan"),
        ("[default]\nmax_slowdown = inf", "max_slowdown is inf"),
    ],
)
def test_wrong_limits(tmp_path, text, words):
    (tmp_path / "limits.toml").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_limits(tmp_path / "limits.toml")


def test_limits_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot read the limits"):
        read_limits(tmp_path / "limits.toml")
    with pytest.raises(UsageError, match="--max-ap-loss: max_ap_loss is -1"):
        read_limits(max_ap_loss=-1)


def test_limits_that_name_no_detector_here_are_noted(tmp_path):
    comparison = compare_runs(*two(tmp_path))
    result = gate(comparison, GateLimits(detectors={"harr": DetectorLimits(), "haar": DetectorLimits()}))
    assert result.notes == ('the limits of [detector."harr"] apply to nothing here. Did you mean haar?',)
