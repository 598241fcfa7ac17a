"""Accuracy against latency, and the settings of each detector that are worth choosing from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ....benchmarks.analysis.table import Summary
from ....benchmarks.resampling.bootstrap import Interval
from ...figures.pareto import Point, accuracy_against_latency, pareto_front, points, sweeps
from ...figures.svg import wide_and_narrow
from ...values.numbers import between, between_brief, brief, row_label, share
from ..base import Page, Section

ORDER = 40


@dataclass(frozen=True, slots=True)
class WorthwhileSetting:
    """One setting of a detector that none of its other settings beats in AP and p50 at once."""

    setting: str
    ap: str
    ap_interval: str
    p50: str
    p50_interval: str


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """The settings of one detector that are worth choosing from.

    Attributes:
        name: the detector, with its device where that is not the CPU.
        best: its own Pareto front, fastest first.
        beaten: the other settings.
    """

    name: str
    best: Sequence[WorthwhileSetting]
    beaten: Sequence[str]


def section(page: Page) -> Section | None:
    """Draw every detector that has both numbers; None where none has."""
    summary = page.summary
    drawn = points(summary)
    if not drawn:
        return None
    labels = {point.label for point in drawn}
    values = {
        "figures": wide_and_narrow(lambda width: accuracy_against_latency(summary, width)),
        "not_drawn": [row_label(row) for row in summary.rows if row_label(row) not in labels],
        "operating_points": operating_points(summary),
    }
    return Section("figure", "accuracy.html.j2", values, "accuracy against latency")


def operating_points(summary: Summary) -> list[OperatingPoints]:
    """Return the best settings of each detector that was measured at several sizes or numbers of threads."""
    found = []
    for name, of in sweeps(points(summary)).items():
        best = pareto_front(of)
        beaten = [point.setting for point in of if point not in best]
        found.append(OperatingPoints(name, [_operating_point(point) for point in best], beaten))
    return found


def _operating_point(point: Point) -> WorthwhileSetting:
    ap = Interval(point.ap, point.low, point.high, math.nan, 0)
    p50 = Interval(point.p50_ms, point.p50_low, point.p50_high, math.nan, 0)
    return WorthwhileSetting(point.setting, share(point.ap), between(ap), brief(point.p50_ms), between_brief(p50))
