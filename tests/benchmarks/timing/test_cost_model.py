"""The cost of a megapixel and of a face."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.timing.cost_model import CostModel, fit_cost
from facebench.errors import UsageError
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

Numbers = NDArray[np.float64]


def images(n: int, seed: int = 0) -> tuple[Numbers, Numbers]:
    """Return megapixels and faces of images as they are in WIDER FACE: few faces in most, many in some."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 1.6, n), rng.geometric(0.2, n) - 1.0


def known(model: CostModel) -> list[bool]:
    return [not math.isnan(one.value) for one in (model.base_ms, model.per_megapixel_ms, model.per_face_ms)]


# degenerate


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_images(n: int) -> None:
    model = fit_cost(np.full(n, 5.0), np.full(n, 1.0), np.full(n, 2.0))
    assert known(model) == [False, False, False]
    assert model.note == f"{n} images are too few for three terms: measure 4 or more"
    assert math.isnan(model.explained)
    assert math.isnan(model.median_relative_error)
    assert np.isnan(model.predict(1.0, 2.0))


SIZES = [0.3, 0.5, 0.8, 1.1, 1.3, 1.6]
FACES = [0.0, 3.0, 1.0, 7.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("megapixels", "faces", "terms", "note"),
    [
        (
            [0.3] * 6, FACES, [False, False, True],
            "the base, the cost of a megapixel cannot be told: all images have 0.3 megapixels",
        ),
        (SIZES, [0.0] * 6, [True, True, False], "the cost of a face cannot be told: no face was found"),
        (
            SIZES, [2.0] * 6, [False, True, False],
            "the base, the cost of a face cannot be told: 2 faces were found in every image",
        ),
        (
            [0.3] * 6, [0.0] * 6, [False, False, False],
            "the base, the cost of a megapixel, the cost of a face cannot be told: "
            "all images have 0.3 megapixels and no face was found",
        ),
        (
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [True, False, False],
            "the cost of a megapixel, the cost of a face cannot be told: faces and megapixels grow in step",
        ),
        (SIZES, FACES, [True, True, True], ""),
    ],
)  # fmt: skip
def test_terms_that_cannot_be_told_apart(
    megapixels: list[float], faces: list[float], terms: list[bool], note: str
) -> None:
    ms = 4.0 + 10.0 * np.array(megapixels) + 2.0 * np.array(faces)
    model = fit_cost(ms, megapixels, faces, draws=50)
    assert known(model) == terms
    assert model.note == note
    for one, told, true in zip(
        (model.base_ms, model.per_megapixel_ms, model.per_face_ms), terms, (4.0, 10.0, 2.0), strict=True
    ):
        if told:
            assert (one.value, one.low, one.high) == pytest.approx((true, true, true), rel=1e-6)
    # what was measured can be foretold all the same
    assert model.predict(megapixels, faces) == pytest.approx(ms, rel=1e-6)


def test_a_prediction_that_needs_an_unknown_term_is_nan() -> None:
    model = fit_cost([4.0, 5.0, 6.0, 7.0], [0.5] * 4, [0.0, 1.0, 2.0, 3.0], draws=20)
    predicted = model.predict([[0.5, 0.6], [0.5, 1.0]], [[10.0, 0.0], [0.0, 0.0]])
    assert predicted.shape == (2, 2)
    assert predicted[:, 0] == pytest.approx([14.0, 4.0])
    assert np.isnan(predicted[:, 1]).all()


def test_a_draw_without_an_answer_is_left_out() -> None:
    """Of four images, many draws hold two or fewer different ones."""
    model = fit_cost([5.0, 6.0, 9.0, 12.0], [0.3, 0.5, 0.9, 1.1], [0.0, 1.0, 0.0, 4.0], draws=200)
    assert 50 < model.base_ms.draws < 190


def test_equal_times_are_a_base_and_leave_nothing_to_explain() -> None:
    model = fit_cost([5.0] * 6, SIZES, FACES, draws=50)
    assert model.base_ms.value == pytest.approx(5.0)
    assert (model.per_megapixel_ms.value, model.per_face_ms.value) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert math.isnan(model.explained)


@pytest.mark.parametrize(
    ("ms", "megapixels", "faces", "message"),
    [
        ([1.0], [1.0, 2.0], [0.0], "got shapes"),
        ([[1.0]], [[1.0]], [[0.0]], "flat lists"),
        ([1.0, 0.0], [1.0, 1.0], [0, 0], r"ms must be finite and above 0, got 0\.0 as image 1"),
        ([1.0], [math.nan], [0], "megapixels must be finite and above 0, got nan as image 0"),
        ([1.0], [1.0], [-1], r"faces must be finite and 0 or more, got -1\.0 as image 0"),
    ],
)
def test_wrong_input(ms: list[float], megapixels: list[float], faces: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fit_cost(ms, megapixels, faces)


# parity


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 40), st.sampled_from([0.0, 0.02, 0.5, 2.0]))
def test_parity_with_bounded_least_squares(seed: int, n: int, noise: float) -> None:
    """With much noise, bounds hold: a term would be below zero."""
    rng = np.random.default_rng(seed)
    size, faces = images(n, seed)
    faces[:2] = [0.0, 3.0]
    ms = (rng.uniform(0, 5) + rng.choice([0.0, 30.0]) * size + rng.choice([0.0, 2.0]) * faces + 0.1) * np.exp(
        rng.normal(0, noise, n)
    )
    relative = np.column_stack([np.ones(n), size, faces]) / ms[:, None]
    reference = lsq_linear(relative, np.ones(n), bounds=(0, np.inf), method="bvls", tol=1e-14)
    model = fit_cost(ms, size, faces, draws=1)
    assert min(model.solution) >= 0
    errors = relative @ np.array(model.solution) - 1
    assert errors @ errors / 2 == pytest.approx(reference.cost, rel=1e-6, abs=1e-12)
    assert model.solution == pytest.approx(reference.x, rel=1e-4, abs=1e-4)
    assert model.median_relative_error == pytest.approx(np.median(np.abs(errors)), abs=1e-12)
    constant = lsq_linear(relative[:, :1], np.ones(n))
    if constant.cost < 1e-12:
        assert math.isnan(model.explained)
    else:
        assert model.explained == pytest.approx(1 - reference.cost / constant.cost, abs=1e-6)


# properties


@pytest.mark.parametrize(
    ("base", "megapixel", "face"), [(5.0, 40.0, 1.5), (0.5, 10.0, 0.0), (0.0, 25.0, 4.0), (8.0, 0.0, 0.0)]
)
def test_recovery(base: float, megapixel: float, face: float) -> None:
    size, faces = images(400)
    noise = np.exp(np.random.default_rng(3).normal(0, 0.03, 400))
    model = fit_cost((base + megapixel * size + face * faces) * noise, size, faces, draws=200)
    usual = base + megapixel + 4 * face
    for one, true in ((model.base_ms, base), (model.per_megapixel_ms, megapixel), (model.per_face_ms, face)):
        assert one.low <= true + 0.003 * usual
        assert one.high >= true - 0.003 * usual
        assert one.value == pytest.approx(true, abs=0.02 * usual)
    assert model.median_relative_error == pytest.approx(0.03 * 0.6745, rel=0.15)
    assert model.explained > 0.99 or megapixel == 0


def test_intervals_hold_the_true_cost() -> None:
    rng = np.random.default_rng(7)
    inside = []
    for seed in range(150):
        size, faces = images(60, seed)
        ms = (5.0 + 40.0 * size + 1.5 * faces) * np.exp(rng.normal(0, 0.03, 60))
        model = fit_cost(ms, size, faces, draws=120)
        terms = ((model.base_ms, 5.0), (model.per_megapixel_ms, 40.0), (model.per_face_ms, 1.5))
        inside.append([one.low <= true <= one.high for one, true in terms])
    assert (np.mean(inside, axis=0) >= 0.88).all()


def test_outliers_move_the_fit_by_little() -> None:
    size, faces = images(200)
    ms = 5.0 + 40.0 * size + 1.5 * faces
    ms[::50] *= 100.0
    model = fit_cost(ms, size, faces, draws=20)
    assert model.predict(size, faces)[1:50] == pytest.approx((5.0 + 40.0 * size + 1.5 * faces)[1:50], rel=0.1)
    linear = np.linalg.lstsq(np.column_stack([np.ones(200), size, faces]), ms, rcond=None)[0]
    assert abs(linear[1] - 40.0) > 5 * abs(model.per_megapixel_ms.value - 40.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_order_of_the_images_does_not_matter(seed: int) -> None:
    size, faces = images(30, seed)
    rng = np.random.default_rng(seed)
    ms = (5.0 + 40.0 * size + 1.5 * faces) * np.exp(rng.normal(0, 0.1, 30))
    order = rng.permutation(30)
    model = fit_cost(ms, size, faces, draws=5)
    other = fit_cost(ms[order], size[order], faces[order], draws=5)
    assert other.solution == pytest.approx(model.solution, rel=1e-6, abs=1e-6)
    assert (other.explained, other.median_relative_error) == pytest.approx(
        (model.explained, model.median_relative_error)
    )


def test_seconds_for_milliseconds_scale_the_terms() -> None:
    size, faces = images(30)
    ms = (5.0 + 40.0 * size + 1.5 * faces) * np.exp(np.random.default_rng(1).normal(0, 0.1, 30))
    model, seconds = fit_cost(ms, size, faces, draws=50), fit_cost(ms / 1000, size, faces, draws=50)
    assert seconds.per_face_ms.high * 1000 == pytest.approx(model.per_face_ms.high)
    assert seconds.solution == pytest.approx(np.array(model.solution) / 1000)
    assert seconds.explained == pytest.approx(model.explained)
