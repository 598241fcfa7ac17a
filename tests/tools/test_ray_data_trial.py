"""The trial of Ray Data: what is compared is equal, and every difference would be seen."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys

import pytest
from facebench.detectors import Detections
from facebench.tools.ray_data_trial import Trial, unequal

BOX = Detections.from_arrays([[0, 0, 2, 2]], [0.5])
MOVED = Detections.from_arrays([[0, 0, 2, 2.5]], [0.5])
SURER = Detections.from_arrays([[0, 0, 2, 2]], [0.75])
POINTS = Detections.from_arrays([[0, 0, 2, 2]], [0.5], [[[0, 0]] * 5])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"a": BOX, "b": BOX}, []),
        ({"a": BOX, "b": MOVED}, ["b"]),
        ({"a": SURER, "b": BOX}, ["a"]),
        ({"a": BOX, "b": POINTS}, ["b"]),
        ({"a": BOX}, ["b"]),
        ({"a": BOX, "b": BOX, "c": BOX}, ["c"]),
    ],
)
def test_what_differs_is_named(other, expected):
    assert unequal(Trial(0, 1, 1, {"a": BOX, "b": BOX}), Trial(0, 1, 1, other)) == expected


def test_throughput_leaves_the_start_out():
    assert Trial(100.0, 2.0, 50, {}).images_per_second == 25.0
    assert math.isnan(Trial(1.0, 0.0, 0, {}).images_per_second)


@pytest.mark.slow
def test_both_ways_give_the_same_detections(available):
    if importlib.util.find_spec("ray") is None:
        reason = "needs Ray: pip install 'facebench[ray]'"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # a process of its own: Ray Data warns of deprecations inside itself
    command = [sys.executable, "-m", "facebench.tools.ray_data_trial", "--dataset", "scenes?count=3"]
    command += ["--images", "70", "--workers", "1", "--detector", str(available("yunet"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "over 6 images" in done.stdout and "detections are equal on 70 images" in done.stdout
