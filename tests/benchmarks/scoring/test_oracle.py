"""The vectorised scoring equals the plain loops of `oracle`, on degenerate cases first and then on random ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from facebench.benchmarks.scoring import score
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.scored_images import DEGENERATE, crowd, crowded_scene, images_with_ties, seeds
from hypothesis import given, settings
from hypothesis import strategies as st


def assert_equal_to_oracle(images: list[Image], threshold: float) -> None:
    faces, detections, scores, counted = oracle.to_arrays(images)
    result = score(faces, detections, scores, score_threshold=threshold, lists={"list": counted}).lists["list"]
    got = {"official": result.official_ap, "exact": result.exact_ap, **dataclasses.asdict(result.at_threshold)}
    expected = {
        "official": oracle.official_ap(images),
        "exact": oracle.exact_ap(images),
        **oracle.at_threshold(images, threshold),
    }
    assert {key: got[key] for key in expected} == pytest.approx(expected, abs=1e-12, rel=0, nan_ok=True)


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate(images: list[Image]) -> None:
    assert_equal_to_oracle(images, 0.5)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(images_with_ties(), st.sampled_from([-1.0, 0.0, 0.5, 0.75, 1.0]))
def test_random(images: list[Image], threshold: float) -> None:
    assert_equal_to_oracle(images, threshold)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_random_with_crowds(seed: int) -> None:
    assert_equal_to_oracle(crowded_scene(seed), 0.5)


@pytest.mark.slow
def test_more_than_700_faces_in_a_image() -> None:
    rng = np.random.default_rng(7)
    assert_equal_to_oracle([crowd(rng, 20, 30), crowd(rng, 750, 900), crowd(rng, 1, 5)], 0.5)
