"""The comparison as text cells, the same for terminal, Markdown and HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.analysis.depth import Analysis
from ...benchmarks.analysis.intervals import OFFICIAL_DRAWS
from ...benchmarks.analysis.table import Row, Summary
from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.store.documents import finite
from ...benchmarks.store.plain import to_plain
from .batches import batch_remarks, batches_json, best_batch_text
from .numbers import NONE, between, between_plain, brief, plain, row_label, share


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title: short heading.
        help: what the number is, in one sentence.
        text: a row's cell; an interval stands in brackets on a second line, which keeps columns narrow.
        number: a row's sort value; nan where there is none. None for a text column.
        interval: of that number over resampled images; None for a row that has none. None for a column whose numbers
            are not estimates from images: they were measured once.
        digits: decimals of the number where it is shown.
    """

    title: str
    help: str
    text: Callable[[Row], str]
    number: Callable[[Row], float] | None = None
    interval: Callable[[Row], Interval | None] | None = None
    digits: int = 0


def columns(summary: Summary, analysis: Analysis | None = None) -> list[Column]:
    """Return the columns that fit a run: one AP pair for each evaluation list, then the operating point, then cost.

    Args:
        summary: a scored run.
        analysis: of it; with it the remarks say where a curve is cut.
    """
    found = [Column("detector", "name and the parameters that differ from the defaults", row_label)]
    exact, official = "every distinct score a threshold, IoU 0.5", "as the official WIDER FACE evaluation computes it"
    fewer = f"; interval of {min(OFFICIAL_DRAWS, summary.resampled.draws):,} resamples"
    others = "the interval says what other images would change, not another machine or day"
    found += [
        *(_exact_ap(name, f"exact AP, {name}: {exact}") for name in summary.lists),
        *(_official_ap(name, f"AP, {name}: {official}{fewer}") for name in summary.lists),
        _at_threshold(
            "IoU", "mean IoU of hits at the threshold of the row, the detector's own unless it says another", "mean_iou"
        ),
        _at_threshold("precision", "share of boxes on a face, at the threshold of the row", "precision"),
        _at_threshold("recall", "share of faces found, at the threshold of the row", "recall"),
        _latency(
            "p50 ms",
            f"median of the whole detect call on decoded images, at the threshold of the row; {others}",
            "p50_ms",
        ),
        _latency(
            "p90 ms", f"90th percentile of the whole detect call, at the threshold of the row; {others}", "p90_ms"
        ),
        _latency("images/s", f"images over the sum of their detect calls; {others}", "images_per_second"),
        *_in_batches(summary),
        _number("start s", "from an empty process to the first result; measured once: no interval", _cold_start_s, 1),
        _number("peak MB", "largest memory of the detector's process; measured once: no interval", _peak_mb, 0),
        Column("remarks", "failed images, device, what else matters", _remarks_with(analysis)),
    ]
    return found


def parts(chosen: Sequence[Column], rows: Sequence[Row], width: int) -> list[list[Column]]:
    """Split the columns into tables of at most `width` characters, each led by the first column.

    A column is as wide as its title or the longest line of its cells, remarks as their longest word; three characters
    stand between columns. A table has two columns at least, however wide they are.
    """
    label, *others = chosen

    def needed(column: Column) -> int:
        may_wrap = column.number is None and column is not label
        cells = [column.text(row) for row in rows]
        lines = [line for cell in cells for line in (cell.split() if may_wrap else cell.split("\n"))]
        return 3 + max(len(line) for line in [column.title, *lines])

    found: list[list[Column]] = []
    free = 0
    for column in others:
        if not found or needed(column) > free:
            found.append([label])
            free = width - 1 - needed(label)
        found[-1].append(column)
        free -= needed(column)
    return found


def standing(summary: Summary) -> str:
    """Say how sure the first place is; empty with fewer than two finished cells."""
    if not summary.tied or sum(row.done for row in summary.rows) < 2:
        return ""
    labels = {row.cell.key: row_label(row) for row in summary.rows}
    best, *others = (labels[key] for key in summary.tied)
    found = f"{best} has the best AP ({summary.primary}) on {summary.drawn}"
    if not others:
        return f"{found}; every other detector is below it (95 %, all pairs judged together)."
    return f"{found}; they do not tell it from {', '.join(others)} (95 %, all pairs judged together)."


def basis(summary: Summary) -> str:
    """Say on how many images alike the number that ranks rests; empty without a finished cell."""
    rows = [row for row in summary.rows if row.done and row.intervals.exact[summary.primary].effective > 0]
    if not rows:
        return ""
    rests = [row.intervals.exact[summary.primary].effective for row in rows]
    lowest, highest = round(min(rests)), round(max(rests))
    alike = f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"
    few = "one alone" if highest <= 1 else f"{alike} that all matter alike"
    return f"AP ({summary.primary}) rests on {summary.drawn} as on {few}: where a few decide, intervals are wide."


def floor_sentence(summary: Summary) -> str:
    """Say what the harness itself costs; empty where that was not measured."""
    floor = summary.run.document.floor
    if not floor:
        return ""
    return (
        f"The harness itself: {brief(floor.detect_ms)} ms of every latency are its own, seen with a detector that "
        f"does nothing; handing an image over takes {brief(floor.round_trip_ms)} ms, outside the latency "
        f"(medians of {floor.calls:,} calls)."
    )


def latency_scope(rows: Sequence[Row]) -> str:
    """Say what the intervals of latency hold for; empty where nothing was timed."""
    rounds = [row.cell.rounds for row in rows if row.latency is not None]
    if not rounds:
        return ""
    if min(rounds) > 1:
        return "Those of latency are over images and processes."
    return "Those of latency hold for these images, this process; with --rounds 3, for other processes too."


def remarks(row: Row) -> str:
    """Say what a reader must know beside the numbers of a row."""
    cell, info = row.cell, row.cell.info
    if not row.done:
        remedy = f" To fix: {cell.remedy}" if cell.remedy else ""
        reason = cell.reason or "interrupted; the same command goes on where it stopped"
        return f"{cell.status}: {reason}.{remedy}"
    found = []
    if cell.failed_images:
        count = len(cell.failed_images)
        found.append(f"failed on {count} image{'s' * (count > 1)}")
    if cell.device != "cpu":
        found.append(cell.device)
    if cell.threads != 1:
        found.append(f"{cell.threads} threads")
    if info.score_kind == "none":
        found.append("boxes without scores")
    if any("WIDER" in item for item in info.trained_on):
        found.append("trained on WIDER")
    if row.timing is not None:
        found += row.timing.warnings
    if cell.detections_differ:
        found.append(f"detections differ between rounds on {cell.detections_differ} images")
    if cell.repeats_failed:
        found.append(f"{cell.repeats_failed} later calls failed")
    found += batch_remarks(row)
    found += cell.predictions.remarks if cell.predictions else ()
    return ", ".join(found)


def _remarks_with(analysis: Analysis | None) -> Callable[[Row], str]:
    if analysis is None:
        return remarks

    def text(row: Row) -> str:
        found = analysis.cells.get(row.cell.key)
        if found is None or not found.curve_end.is_cut:
            return remarks(row)
        cut = f"curve cut at recall {share(found.curve_end.recall, 2)}"
        return ", ".join(filter(None, (remarks(row), cut)))

    return text


def to_json(summary: Summary) -> dict[str, Any]:
    """Return the table for machines: full numbers, None where there is none."""
    rows, numbers = [], columns(summary)
    # the table has no room for it beside the lists
    overall = [] if "overall" in summary.lists else [_exact_ap("overall", ""), _official_ap("overall", "")]
    for row in summary.rows:
        cell, start = row.cell, row.cell.start
        plain = cell.to_json()
        copied = ("spec", "key", "status", "reason", "protocol", "device", "threads", "rounds")
        found: dict[str, Any] = {name: plain[name] for name in copied}
        found |= {"remedy": cell.remedy, "failed_images": len(cell.failed_images)}
        if cell.predictions is not None:
            found |= {"predictions": plain["predictions"], "device": None, "threads": None}
        found["threshold"] = None if start is None else start.operating_threshold
        found["score_floor"] = None if start is None else start.score_floor
        found["timed_from"] = None if start is None else start.timed_at
        for column in [*numbers, *overall]:
            if column.number is not None:
                key = column.title.replace(" ", "_").replace("/", "_per_")
                found[key] = finite(column.number(row))
                if column.interval is not None:
                    found[f"{key}_interval"] = _ends(column.interval(row))
        if cell.batching is not None:
            found |= {"batched_together": cell.batching.together, "batches": batches_json(row)}
        rows.append(found)
    return {
        "dataset": summary.run.document.dataset.name,
        "scope": summary.scope,
        "pictures": summary.images,
        "excluded": summary.excluded,
        "floor": to_plain(summary.run.document.floor),
        "tied_with_best": list(summary.tied),
        "rows": rows,
    }


def _in_batches(summary: Summary) -> list[Column]:
    """Return the column of batches where any were timed."""
    if not any(row.batches for row in summary.rows):
        return []

    def interval(row: Row) -> Interval | None:
        return row.best_batch.images_per_second if row.best_batch else None

    def number(row: Row) -> float:
        return row.best_batch.images_per_second.value if row.best_batch else math.nan

    help_text = (
        "images/s at the batch size where they are most, offline as MLPerf Inference names it: images of one size "
        "together, at the threshold of the row; the interval is over batches and rounds"
    )
    return [Column("images/s batched", help_text, best_batch_text, number, interval, 1)]


def _exact_ap(name: str, help_text: str) -> Column:
    return _estimate(f"AP {name}", help_text, lambda row: row.intervals.exact.get(name), 3)


def _official_ap(name: str, help_text: str) -> Column:
    return _estimate(f"official {name}", help_text, lambda row: row.intervals.official.get(name), 3)


def _at_threshold(title: str, help_text: str, field: str) -> Column:
    return _estimate(title, help_text, lambda row: row.intervals.operating.get(field), 3)


def _latency(title: str, help_text: str, field: str) -> Column:
    return _estimate(title, help_text, lambda row: row.intervals.latency.get(field), 1)


def _estimate(title: str, help_text: str, estimate: Callable[[Row], Interval | None], digits: int) -> Column:
    def number(row: Row) -> float:
        found = estimate(row)
        return math.nan if found is None else found.value

    return _number(title, help_text, number, digits, estimate)


def _number(
    title: str,
    help_text: str,
    number: Callable[[Row], float],
    digits: int,
    interval: Callable[[Row], Interval | None] | None = None,
) -> Column:
    def text(row: Row) -> str:
        value, limits = number(row), None if interval is None else interval(row)
        if not math.isfinite(value):
            return NONE
        found = share(value) if digits == 3 else plain(value, digits)
        ends = "" if limits is None else between(limits) if digits == 3 else between_plain(limits)
        return f"{found}\n({ends})" if ends else found

    return Column(title, help_text, text, number, interval, digits)


def _ends(limits: Interval | None) -> list[float] | None:
    return None if limits is None or not math.isfinite(limits.low) else [limits.low, limits.high]


def _cold_start_s(row: Row) -> float:
    return row.cell.cold_start_s


def _peak_mb(row: Row) -> float:
    peak = row.cell.peak_rss_mb
    return math.nan if peak is None else float(peak)
