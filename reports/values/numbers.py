"""Numbers and names as a report writes them; what is not a number is a dash."""

from __future__ import annotations

import math

import numpy as np

from ...benchmarks.analysis.table import Row
from ...benchmarks.resampling.bootstrap import Interval

NONE = "–"


def share(value: float, digits: int = 3) -> str:
    """Write a share without its leading zero: .912 reads faster than 0.912 in a column.

    >>> share(0.9123), share(1.0), share(-0.05, 2), share(float("nan"))
    ('.912', '1.000', '−.05', '–')
    """
    if not math.isfinite(value):
        return NONE
    text = f"{abs(value):.{digits}f}"
    minus = "−" if value < 0 and float(text) else ""
    return minus + text.removeprefix("0")


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign.

    >>> signed(0.0204), signed(-0.0204), signed(0.0001)
    ('+.020', '−.020', '.000')
    """
    text = share(value, digits)
    return f"+{text}" if value > 0 and float(text) else text


def plain(value: float, digits: int = 2) -> str:
    """Write a number that is not a share.

    >>> plain(1234.5, 1)
    '1,234.5'
    """
    return f"{value:,.{digits}f}".replace("-", "−") if math.isfinite(value) else NONE


def brief(value: float) -> str:
    """Write a number that is not a share to three figures, but no decimal beyond the third.

    >>> brief(0.05123), brief(13.34), brief(9.999), brief(1234.5), brief(0.0), brief(float("nan"))
    ('0.051', '13.3', '10.0', '1,234', '0', '–')
    """
    if not math.isfinite(value):
        return NONE
    # 9.999 is 10.0, not 10.00
    decimals = 2 - math.floor(math.log10(abs(float(f"{value:.3g}")))) if value else 0
    return plain(value, min(max(decimals, 0), 3))


def between_brief(interval: Interval) -> str:
    """Write the ends of the interval of a number that is not a share, to three figures; empty where there is none.

    >>> between_brief(Interval(9.0, 0.844, 12.06, 0.95, 1000))
    '0.844–12.1'
    """
    return f"{brief(interval.low)}–{brief(interval.high)}" if math.isfinite(interval.low) else ""


def between(interval: Interval, digits: int = 2) -> str:
    """Write the ends of the interval of a share; empty where there is none.

    >>> between(Interval(0.5, 0.41, 0.6, 0.95, 1000))
    '.41–.60'
    """
    if not math.isfinite(interval.low):
        return ""
    return f"{share(interval.low, digits)}–{share(interval.high, digits)}"


def between_plain(interval: Interval) -> str:
    """Write the ends of an interval that is not of a share, to three digits or more; empty where there is none.

    >>> between_plain(Interval(9.0, 8.84, 9.06, 0.95, 1000)), between_plain(Interval(1e3, 99.9, 1234.5, 0.95, 1000))
    ('8.8–9.1', '100–1,234')
    """
    if not math.isfinite(interval.low):
        return ""
    digits = 1 if interval.high < 100 else 0
    return f"{plain(interval.low, digits)}–{plain(interval.high, digits)}"


def between_signed(interval: Interval, digits: int = 3) -> str:
    """Write the ends of the interval of a difference; empty where there is none.

    >>> between_signed(Interval(0.0, -0.01, 0.02, 0.95, 1000))
    '−.010 to +.020'
    """
    if not math.isfinite(interval.low):
        return ""
    return f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"


def with_interval(interval: Interval, digits: int = 3) -> str:
    """Write a share with its interval in brackets.

    >>> with_interval(Interval(0.5, 0.41, 0.6, 0.95, 1000))
    '.500 (.41–.60)'
    """
    ends = between(interval)
    return share(interval.value, digits) + (f" ({ends})" if ends else "")


def number_of(count: int, thing: str) -> str:
    """Write a count with its noun.

    >>> number_of(1, "face"), number_of(1234, "face")
    ('1 face', '1,234 faces')
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def row_label(row: Row) -> str:
    """Name a row; see `StoredCell.label`."""
    return row.cell.label


def threshold(row: Row) -> str:
    """Say which boxes of a finished row count at its operating point."""
    value = row.cell.operating_threshold
    return f"score ≥ {value:g}" if value > np.finfo(np.float32).min else "every box"
