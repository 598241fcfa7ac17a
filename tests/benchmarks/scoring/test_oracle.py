"""The vectorised scoring equals the plain loops of `oracle`, on degenerate cases first and then on random ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from facebench.benchmarks.scoring import score
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Picture
from facebench.tests.support.scored_images import DEGENERATE, crowd, pictures_with_ties
from hypothesis import given, settings
from hypothesis import strategies as st


def assert_equal_to_oracle(pictures: list[Picture], threshold: float) -> None:
    faces, detections, scores, counted = oracle.to_arrays(pictures)
    result = score(faces, detections, scores, score_threshold=threshold, lists={"list": counted}).lists["list"]
    got = {"official": result.official_ap, "exact": result.exact_ap, **dataclasses.asdict(result.at_threshold)}
    expected = {
        "official": oracle.official_ap(pictures),
        "exact": oracle.exact_ap(pictures),
        **oracle.at_threshold(pictures, threshold),
    }
    assert {key: got[key] for key in expected} == pytest.approx(expected, abs=1e-12, rel=0, nan_ok=True)


@pytest.mark.parametrize("pictures", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate(pictures: list[Picture]) -> None:
    assert_equal_to_oracle(pictures, 0.5)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(pictures_with_ties(), st.sampled_from([-1.0, 0.0, 0.5, 0.75, 1.0]))
def test_random(pictures: list[Picture], threshold: float) -> None:
    assert_equal_to_oracle(pictures, threshold)


@pytest.mark.slow
def test_more_than_700_faces_in_a_picture() -> None:
    rng = np.random.default_rng(7)
    assert_equal_to_oracle([crowd(rng, 20, 30), crowd(rng, 750, 900), crowd(rng, 1, 5)], 0.5)
