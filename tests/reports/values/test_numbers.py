"""Numbers as text: no leading zero, a true minus sign, a dash where there is none."""

from __future__ import annotations

import math

import pytest
from facebench.benchmarks.resampling.bootstrap import Interval
from facebench.reports.values.numbers import between, between_signed, number_of, plain, share, signed, with_interval

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.9124, 3, ".912"),
        (1.0, 3, "1.000"),
        (0.0, 2, ".00"),
        (-0.25, 2, "−.25"),
        (-0.0004, 3, ".000"),
        (NAN, 3, "–"),
        (math.inf, 3, "–"),
    ],
)
def test_share(value, digits, text):
    assert share(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.02, "+.020"), (-0.02, "−.020"), (0.0, ".000"), (0.0004, ".000"), (NAN, "–")]
)
def test_signed(value, text):
    assert signed(value) == text


def test_numbers_that_are_no_shares():
    assert [plain(1234.5, 1), plain(-2.0), plain(NAN)] == ["1,234.5", "−2.00", "–"]
    assert [number_of(0, "face"), number_of(1, "face"), number_of(1200, "face")] == ["0 faces", "1 face", "1,200 faces"]


@pytest.mark.parametrize(
    ("interval", "ends", "signed_ends", "full"),
    [
        (Interval(0.5, 0.41, 1.0, 0.95, 9), ".41–1.00", "+.410 to +1.000", ".500 (.41–1.00)"),
        (Interval(0.0, -0.1, 0.0, 0.95, 9), "−.10–.00", "−.100 to .000", ".000 (−.10–.00)"),
        (Interval(0.5, NAN, NAN, 0.95, 0), "", "", ".500"),
        (Interval(NAN, NAN, NAN, 0.95, 0), "", "", "–"),
    ],
)
def test_intervals(interval, ends, signed_ends, full):
    assert (between(interval), between_signed(interval), with_interval(interval)) == (ends, signed_ends, full)
