"""The gate where the truth is known: a short form of `python -m facebench.tools.power`."""

from __future__ import annotations

import numpy as np
import pytest
from facebench.tools.power import __main__ as power
from facebench.tools.power import accuracy, latency

TIMES = 8
GATES = 4


@pytest.mark.parametrize("rounds", power.ROUNDS)
def test_the_same_code_never_fails_and_changes_are_found(rounds: int) -> None:
    table = power.latency_rows(GATES, seed=3, rounds=[rounds])
    assert len(table) == len(latency.NOISES) * len(power.WAYS)
    for noise, way, same_fail, same_pass, all_fail, few_fail, third_fail in table:
        assert float(same_fail) == 0, (noise, way)
        if noise == "processes 1 % apart" and rounds > 2:
            assert min(map(float, (same_pass, all_fail, few_fail, third_fail))) >= 75, (noise, way)


def test_rounds_at_once_never_fail_however_slow_the_machine_grew() -> None:
    rows = power.order_rows(20, seed=3)
    assert [row[2] for row in rows] == ["0"] * len(rows) and len(rows) == 9


@pytest.mark.parametrize("crowd", accuracy.CROWDS)
@pytest.mark.parametrize(("loss", "images"), [("1 % of images", 60), ("5 % of images", 30), ("5 % of faces", 60)])
def test_a_loss_beyond_the_limit_hardly_ever_passes(crowd: str, loss: str, images: int) -> None:
    assert accuracy.true_loss(crowd, loss) > accuracy.MAX_AP_LOSS
    outcomes = _outcomes(crowd, loss, images)
    assert outcomes.count("pass") <= 1


def test_enough_images_show_that_hardly_anything_was_lost() -> None:
    assert accuracy.true_loss("crowds", "0.1 % of faces") < accuracy.MAX_AP_LOSS
    outcomes = _outcomes("crowds", "0.1 % of faces", 1000)
    assert outcomes.count("pass") >= TIMES - 2


def _outcomes(crowd: str, loss: str, images: int) -> list[str]:
    random = np.random.default_rng(5)
    return [accuracy.judge(random, accuracy.CROWDS[crowd](random, images), accuracy.LOSSES[loss]) for _ in range(TIMES)]
