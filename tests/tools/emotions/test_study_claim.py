"""The study's claim about its emotion model, recomputed from its own numbers."""

from __future__ import annotations

import math

import pytest
from facebench.errors import DataError
from facebench.tests.support.paths import ROOT
from facebench.tools.emotions.study_claim import StudyClaim, wilson_interval


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    # from the closed form for all and for none, and Agresti & Coull 1998, table of 15 of 20
    [(0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (15, 20, 0.5313, 0.8881)],
)
def test_wilson_interval(right, images, low, high):
    assert wilson_interval(right, images) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("right", "images"), [(0, 0), (3, 2), (-1, 2)])
def test_more_right_than_there_are_is_refused(right, images):
    with pytest.raises(DataError, match="right of"):
        wilson_interval(right, images)


def test_the_study_is_recomputed_from_its_numbers():
    claim = StudyClaim()
    assert claim.right == 1746
    assert abs(claim.right / claim.images - claim.accuracy) < 0.0005
    low, high = claim.interval
    share, z = 1746 / 2867, 1.959964
    # the interval's ends are the shares for which the one seen lies z standard errors away
    for end in (low, high):
        assert abs(share - end) == pytest.approx(z * math.sqrt(end * (1 - end) / 2867))
    assert claim.claimed < low
    page = " ".join((ROOT / "docs" / "emotions.md").read_text(encoding="utf-8").split())
    for number in ("“59 %” was not an accuracy", "60.9 %", "1,746 of 2,867", "58.4 %", "1,692", "54 fewer", "64.7 %"):
        assert number in " ".join(claim.sentences) and number in page
