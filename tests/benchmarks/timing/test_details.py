"""A cell's timings looked at closely: what is found is what was put in."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.timing.details import STAGES, latency_details

COUNT = 60


def table(rounds: int = 1, **changes) -> pd.DataFrame:
    """20 ms a megapixel, 2 ms a face, 5 ms a call, 1 % scatter; stages of a third, a half and a sixth."""
    random = np.random.default_rng(0)
    names = [f"{place}.jpg" for place in range(COUNT)]
    pixels, faces = random.integers(200_000, 2_000_000, COUNT), random.integers(0, 20, COUNT)
    parts = []
    for number in range(rounds):
        ms = (5 + 20 * pixels / 1e6 + 2 * faces) * np.exp(random.normal(0, 0.01, COUNT))
        parts.append(
            pd.DataFrame(
                {
                    "image_id": names,
                    "round": number,
                    "detect_ms": ms,
                    "cpu_ms": ms,
                    "queued_ms": np.nan,
                    "pre_ms": ms / 3,
                    "inference_ms": ms / 2,
                    "post_ms": ms / 6,
                    "pixels": pixels,
                    "detections": faces,
                }
            )
        )
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(order=np.arange(len(whole))).assign(**{name: make(whole) for name, make in changes.items()})


@pytest.mark.parametrize("rounds", [1, 3])
def test_an_undisturbed_measurement(rounds):
    found = latency_details(table(rounds), one_thread_on_cpu=True)
    assert found.cost.base_ms.value == pytest.approx(5, rel=0.1)
    assert found.cost.per_megapixel_ms.value == pytest.approx(20, rel=0.03)
    assert found.cost.per_face_ms.value == pytest.approx(2, rel=0.03)
    assert not found.warnings and found.processor_share == pytest.approx(1)
    assert len(found.rounds_p50_ms) == rounds
    medians = [found.stages[name].value for name in STAGES]
    assert medians[0] / medians[1] == pytest.approx(2 / 3) and medians[2] / medians[1] == pytest.approx(1 / 3)
    assert all(one.low < one.value < one.high for one in found.stages.values())


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_machine_that_slows_down_is_told(rounds):
    slower = latency_details(
        table(rounds, detect_ms=lambda whole: whole["detect_ms"] * np.linspace(1, 1.5, len(whole))),
        one_thread_on_cpu=False,
    )
    assert slower.drift.flagged
    assert [warning for warning in slower.warnings if "drifted" in warning] == slower.warnings
    assert len(slower.warnings) == (rounds > 1), "one round cannot tell a drift from costlier images"
    low, high = slower.noise
    # the last third is 1.42 over 1.08 times as slow as the first
    assert high == (pytest.approx(1.31, abs=0.05) if rounds > 1 else 1) and low == pytest.approx(1 / high)


def test_the_order_measured_counts_not_that_of_the_rows():
    """A ramp over `order` stays one, whatever order the rows come in; a shuffled order is none."""
    ramp = table(detect_ms=lambda whole: whole["detect_ms"] * np.linspace(1, 1.5, len(whole)))
    shuffled_rows = ramp.sample(frac=1, random_state=1)
    assert latency_details(shuffled_rows, one_thread_on_cpu=True).drift == (
        latency_details(ramp, one_thread_on_cpu=True).drift
    )
    other = ramp.assign(order=np.random.default_rng(3).permutation(COUNT))
    assert not latency_details(other, one_thread_on_cpu=True).drift.flagged


@pytest.mark.parametrize(("one_thread", "shared"), [(True, True), (False, False)])
def test_a_shared_core_is_told_where_it_can_be_seen(one_thread, shared):
    half = latency_details(table(cpu_ms=lambda whole: whole["cpu_ms"] / 2), one_thread_on_cpu=one_thread)
    assert half.shared_core == shared and half.processor_share == pytest.approx(0.5)
    assert bool(half.warnings) == shared
    assert half.noise == pytest.approx((0.5 if shared else 1.0, 1.0)), "sharing only slows"


@pytest.mark.parametrize(("queued", "remarks"), [(0.0, []), (0.01, []), (0.3, ["had 70 % of its core"])])
def test_waiting_is_not_sharing_where_queueing_is_known(queued, remarks):
    """The processor worked for half of the time; what it missed is a wait, unless the detector queued for its core."""
    found = latency_details(
        table(cpu_ms=lambda whole: whole["cpu_ms"] / 2, queued_ms=lambda whole: whole["detect_ms"] * queued),
        one_thread_on_cpu=True,
    )
    assert [warning.replace("%", " %") for warning in found.warnings] == remarks
    assert found.noise == pytest.approx((1 - queued if remarks else 1.0, 1.0))


def test_what_was_not_measured_is_not_made_up():
    none = dict.fromkeys(("cpu_ms", *STAGES), lambda whole: np.nan)
    found = latency_details(table(**none), one_thread_on_cpu=True)
    assert found.stages == {} and math.isnan(found.processor_share) and not found.shared_core


def test_one_image():
    found = latency_details(table().head(1), one_thread_on_cpu=True)
    assert math.isnan(found.cost.base_ms.value) and not found.drift.flagged
    assert found.max_ms == found.rounds_p50_ms[0]
