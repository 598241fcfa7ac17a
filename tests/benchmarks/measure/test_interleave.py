"""Two sides measured turn by turn: who is called when, what comes back, what is refused."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from facebench.benchmarks.measure import interleave as module
from facebench.benchmarks.measure.child.answers import Answer, Check
from facebench.benchmarks.measure.images import Images
from facebench.benchmarks.measure.interleave import Side, interleave
from facebench.detectors import Detections
from facebench.errors import DetectorRaisedError, UsageError, WorkerDiedError, WorkerError

NAMES = [f"picture-{index}.png" for index in range(6)]


class FakeProcess:
    """A child whose calls are written down; each call costs its side's price."""

    calls: ClassVar[list[tuple[int, int]]] = []
    prices: ClassVar[dict[str, float]] = {"base": 10.0, "head": 12.0}
    made = itertools.count()
    problems: ClassVar[list[str]] = []

    def __init__(self, spec, **options):
        self.spec, self.number, self.running = spec, next(FakeProcess.made), True
        self.options = options

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def start(self):
        return f"start of {self.spec}"

    def check(self, image):
        return Check({}, FakeProcess.problems)

    def detect(self, image):
        value = int(image[0, 0, 0])
        if self.spec == "head" and value == 4:
            raise DetectorRaisedError("no four")
        FakeProcess.calls.append((self.number, value))
        return Answer(Detections.from_arrays([[0, 0, 5, 5]], [0.9]), self.prices[self.spec], 1.0, None, 1.0, None)


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(module, "DetectorProcess", FakeProcess)
    FakeProcess.calls, FakeProcess.made, FakeProcess.problems = [], itertools.count(), []


def test_three_fresh_children_a_round_and_there_and_back(fake, small):
    found = interleave(Side("base"), Side("head"), NAMES[:3], Images(small.samples), rounds=2)
    timed = [call for call in FakeProcess.calls if call[1] != 0][: 2 * 6]
    assert next(FakeProcess.made) == 6
    for start in (0, 6):
        children = [number for number, _ in timed[start : start + 6]]
        assert children == children[::-1] and len(set(children[:3])) == 3
    assert found.base_ms.shape == (2, 3)
    np.testing.assert_allclose(found.head_ms / found.base_ms, 1.2)
    np.testing.assert_allclose(found.again_ms, found.base_ms)
    assert found.base_start == "start of base" and found.head_start == "start of head"


def test_every_child_is_first_equally_often(fake, small):
    interleave(Side("base"), Side("head"), NAMES[1:4], Images(small.samples), rounds=4)
    firsts = [FakeProcess.calls[place][0] % 3 for place in _first_calls(FakeProcess.calls)]
    assert sorted(firsts.count(child) for child in range(3)) == [4, 4, 4]


def _first_calls(calls):
    """Places of the first of the six calls for each image, after the nine of the warm-up of each round."""
    per_round = 9 + 3 * 6
    return [start + 9 + 6 * place for start in range(0, len(calls), per_round) for place in range(3)]


def test_what_a_side_raises_is_kept_and_leaves_no_time(fake, small):
    found = interleave(Side("base"), Side("head"), NAMES, Images(small.samples), rounds=2)
    assert found.failures == {"base": {}, "head": {"picture-4.png": "no four"}, "again": {}}
    assert np.isnan(found.head_ms[:, 4]).all() and np.isfinite(np.delete(found.head_ms, 4, axis=1)).all()
    assert found.head_detections[4] is None and len(found.base_detections[4]) == 1


def test_a_child_whose_times_would_be_a_lie_is_refused(fake, small):
    FakeProcess.problems = ["cv2 uses 7 threads, asked for 1"]
    with pytest.raises(WorkerError, match=r"base \(base\): its times would be invalid: cv2 uses 7 threads"):
        interleave(Side("base"), Side("head"), NAMES, Images(small.samples))


@pytest.mark.parametrize(("rounds", "names"), [(0, NAMES), (3, [])])
def test_nothing_to_measure_is_an_error(small, rounds, names):
    with pytest.raises(UsageError, match="expected at least one of each"):
        interleave(Side("base"), Side("head"), names, Images(small.samples), rounds=rounds)


@pytest.mark.usefixtures("hostile")
def test_real_children_with_another_interpreter(small):
    """The same interpreter named explicitly stands for another environment."""
    other = Side("hostile_detectors:Good", Path(sys.executable))
    found = interleave(Side("hostile_detectors:Good"), other, NAMES, Images(small.samples), rounds=2)
    assert found.base_ms.shape == found.head_ms.shape == found.again_ms.shape == (2, 6)
    assert (found.head_ms > 0).all() and not any(found.failures.values())
    assert other.label == f"hostile_detectors:Good ({sys.executable})"


@pytest.mark.usefixtures("hostile")
def test_a_child_that_dies_ends_the_measurement_with_its_reason(small):
    with pytest.raises(WorkerDiedError, match=r"head \(hostile_detectors:Aborts\): .*SIGABRT"):
        interleave(Side("hostile_detectors:Good"), Side("hostile_detectors:Aborts"), NAMES, Images(small.samples))
