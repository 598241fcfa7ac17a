"""The comparison as text cells, the same for terminal, Markdown and HTML."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..benchmarks.analysis import Analysis
from ..benchmarks.summary import Row, Summary
from .numbers import NONE, between, row_label, share


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title: short heading.
        help: what the number is, in one sentence.
        text: a row's cell.
        number: a row's sort value; nan where there is none. None for a text column.
    """

    title: str
    help: str
    text: Callable[[Row], str]
    number: Callable[[Row], float] | None = None


def columns(summary: Summary, analysis: Analysis | None = None) -> list[Column]:
    """Return the columns that fit a run: one AP pair for each evaluation list, then the operating point, then cost.

    Args:
        summary: a scored run.
        analysis: of it; with it the remarks say where a curve is cut.
    """
    found = [Column("detector", "name and the parameters that differ from the defaults", lambda row: row.cell["spec"])]
    exact, official = "every distinct score a threshold, IoU 0.5", "as the official WIDER FACE evaluation computes it"
    found += [
        *(_exact_ap(name, f"exact AP, {name}: {exact}; in brackets the 95 % interval") for name in summary.lists),
        *(_ap(f"official {name}", f"AP, {name}: {official}", name, Row.official_ap) for name in summary.lists),
        _at_threshold("IoU", "mean IoU of hits at the detector's default threshold", "mean_iou"),
        _at_threshold("precision", "share of boxes on a face, at the detector's default threshold", "precision"),
        _at_threshold("recall", "share of faces found, at the detector's default threshold", "recall"),
        _latency("p50 ms", "median of the whole detect call on decoded pictures", "p50_ms", 1),
        _latency("p90 ms", "90th percentile of the whole detect call", "p90_ms", 1),
        _latency("pictures/s", "pictures over the sum of their detect calls", "pictures_per_second", 1),
        _number("start s", "from an empty process to the first result", lambda row: row.cold_start_s, 1),
        _number("peak MB", "largest resident memory of the detector's process", _peak_mb, 0),
        Column("remarks", "failed pictures, device, what else matters", _remarks_with(analysis)),
    ]
    return found


def standing(summary: Summary) -> str:
    """Say how sure the first place is; empty without a finished cell."""
    if not summary.tied:
        return ""
    labels = {row.cell["key"]: row_label(row) for row in summary.rows}
    best, *others = (labels[key] for key in summary.tied)
    drawn = f"{summary.resampled.draws:,} resamples of the {summary.resampled.unit}"
    share = f"{summary.first[summary.tied[0]]:.0%} of {drawn}"
    if not others:
        return f"{best} has the best AP ({summary.primary}) in {share}; every other detector is below it (95 % paired)."
    return (
        f"{best} has the best AP ({summary.primary}), in {share}; "
        f"these pictures cannot tell it from {', '.join(others)} (95 % paired interval holds zero)."
    )


def remarks(row: Row) -> str:
    """Say what a reader must know beside the numbers of a row."""
    cell, info = row.cell, row.cell["info"]
    if not row.done:
        mend = f" To mend: {cell['mend']}" if cell["mend"] else ""
        reason = cell["reason"] or "interrupted; the same command goes on where it stopped"
        return f"{cell['status']}: {reason}.{mend}"
    found = []
    if cell["failed_pictures"]:
        count = len(cell["failed_pictures"])
        found.append(f"failed on {count} picture{'s' * (count > 1)}")
    if cell["device"] != "cpu":
        found.append(cell["device"])
    if cell["threads"] != 1:
        found.append(f"{cell['threads']} threads")
    if info["score_kind"] == "none":
        found.append("boxes without scores")
    if any("WIDER" in item for item in info["trained_on"]):
        found.append("trained on WIDER")
    found += cell.get("predictions", {}).get("remarks", [])
    return ", ".join(found)


def _remarks_with(analysis: Analysis | None) -> Callable[[Row], str]:
    if analysis is None:
        return remarks

    def text(row: Row) -> str:
        found = analysis.cells.get(str(row.cell["key"]))
        if found is None or not found.curve_end.is_cut:
            return remarks(row)
        cut = f"curve cut at recall {share(found.curve_end.recall, 2)}"
        return ", ".join(filter(None, (remarks(row), cut)))

    return text


def to_json(summary: Summary) -> dict[str, Any]:
    """Return the table for machines: full numbers, None where there is none."""
    rows = []
    for row in summary.rows:
        cell = row.cell
        plain = ("spec", "key", "status", "reason", "mend", "device", "threads")
        found: dict[str, Any] = {name: cell[name] for name in plain}
        found["failed_pictures"] = len(cell.get("failed_pictures", ()))
        if "predictions" in cell:
            found |= {"predictions": cell["predictions"], "device": None, "threads": None}
        found["threshold"] = (cell.get("start") or {}).get("operating_threshold")
        for column in columns(summary):
            if column.number is not None:
                value = column.number(row)
                found[column.title.replace(" ", "_").replace("/", "_per_")] = value if math.isfinite(value) else None
        for name, limits in row.intervals.items():
            found[f"AP_{name}_interval"] = [limits.low, limits.high] if math.isfinite(limits.low) else None
        found["first_share"] = summary.first.get(cell["key"])
        rows.append(found)
    return {
        "dataset": summary.run.document["dataset"]["name"],
        "scope": summary.scope,
        "pictures": summary.pictures,
        "excluded": summary.excluded,
        "protocol": summary.run.document["protocol"],
        "tied_with_best": list(summary.tied),
        "rows": rows,
    }


def _exact_ap(name: str, help_text: str) -> Column:
    plain = _ap(f"AP {name}", help_text, name, Row.exact_ap)

    def text(row: Row) -> str:
        ends = between(row.intervals[name]) if name in row.intervals else ""
        return f"{plain.text(row)} ({ends})" if ends else plain.text(row)

    return Column(plain.title, help_text, text, plain.number)


def _ap(title: str, help_text: str, name: str, read: Callable[[Row, str], float]) -> Column:
    return _number(title, help_text, lambda row: read(row, name), 3)


def _at_threshold(title: str, help_text: str, field: str) -> Column:
    def number(row: Row) -> float:
        return math.nan if row.scores is None else float(getattr(row.scores.overall.at_threshold, field))

    return _number(title, help_text, number, 3)


def _latency(title: str, help_text: str, field: str, digits: int) -> Column:
    def number(row: Row) -> float:
        return math.nan if row.latency is None else float(getattr(row.latency, field))

    return _number(title, help_text, number, digits)


def _number(title: str, help_text: str, number: Callable[[Row], float], digits: int) -> Column:
    def text(row: Row) -> str:
        value = number(row)
        if not math.isfinite(value):
            return NONE
        return share(value) if digits == 3 else f"{value:,.{digits}f}"

    return Column(title, help_text, text, number)


def _peak_mb(row: Row) -> float:
    peak = row.cell.get("peak_rss_mb")
    return math.nan if peak is None else float(peak)
