"""The report: one HTML file that needs nothing beside it, no network and no web server."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..benchmarks.analysis.depth import Analysis, analyse
from ..benchmarks.analysis.table import Row, Summary
from ..benchmarks.choose.pick import pick
from ..benchmarks.choose.rule import Rule
from ..benchmarks.compare.runs import Comparison
from ..benchmarks.scoring.slices import DEMOGRAPHICS_CAVEAT
from ..benchmarks.store.run_folder import RunFolder, write_atomically
from ..benchmarks.stress.scores import score_stress
from ..detectors import Device
from ..errors import UsageError
from .figures.curves import curves, precision_against_recall
from .figures.detectors import calibration_figure, cost_figure, error_figure, slice_figure
from .figures.latency import DOTS, latency_strips, strips
from .figures.pareto import accuracy_against_latency, points
from .sections.emotions import emotions_section
from .sections.gallery import Gallery, gallery, threshold
from .sections.in_depth import in_depth
from .sections.latency import WHAT_IS_TIMED, decode_sentence, latency_section, operating_points
from .sections.other_runs import compared_runs
from .sections.reading import READING
from .sections.stress import stress_section
from .values.detail_grids import calibration_grid, error_grid
from .values.emotion_scores import FILE_NAME
from .values.filters import filter_values, filters
from .values.grids import FEW_FACES, FEW_PICTURES, event_grid, perceived_grid, protocols, slice_grid
from .values.numbers import row_label
from .values.standings import MARKS, WORDS, standings
from .values.table import Column, columns, floor_sentence, standing

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("table.js", "gallery.js")
_FIGURE_WIDTHS_PX = {"wide": 900, "narrow": 380}


def write_report(
    summary: Summary,
    path: Path,
    emotion_run: RunFolder | None = None,
    evaluation: Path | None = None,
    *,
    pictures: bool = True,
    comparisons: Sequence[Comparison] = (),
) -> None:
    """Analyse a run and write its report.

    Args:
        summary: a scored run.
        path: the HTML file.
        emotion_run: see `render`.
        evaluation: the same.
        pictures: the same.
        comparisons: the same.

    Raises:
        ResultsError: a table or a preview of the run is damaged, or the file cannot be written.
    """
    html = render(summary, analyse(summary), emotion_run, evaluation, pictures=pictures, comparisons=comparisons)
    write_atomically(path, html.encode("utf-8"))


def render(
    summary: Summary,
    analysis: Analysis,
    emotion_run: RunFolder | None = None,
    evaluation: Path | None = None,
    *,
    pictures: bool = True,
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return the report as HTML; equal runs give equal text.

    Args:
        summary: a scored run.
        analysis: of the same run.
        emotion_run: the run whose emotion scores are shown, where they are; None: the run itself.
        evaluation: the classification report of the classifier, as `facebench emotions evaluate` writes it.
        pictures: whether pictures of the data set are embedded.
        comparisons: of this run, the base, with other runs.

    Raises:
        ResultsError: a preview of the run is missing or damaged, or the emotion scores are.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = lambda text: Markup("<wbr>").join(re.split(r"(?<=[:,])", text))
    environment.filters["bracket_below"] = _bracket_below
    style, script = _template_text("report.css"), "".join(map(_template_text, _SCRIPTS))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_csp_hash(style)}; script-src {_csp_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    drawn, ends = points(summary), curves(summary, analysis)
    figures = _widths(lambda width: accuracy_against_latency(summary, width)) if drawn else {}
    curve_figures = _widths(lambda width: precision_against_recall(ends, summary.primary, width)) if ends else {}
    calls = strips(summary)
    latency_figures = _widths(lambda width: latency_strips(calls, width)) if calls else {}
    row_figures = {
        "costs": cost_figure(summary),
        "recall": slice_figure(summary, analysis, "recall"),
        "exact": slice_figure(summary, analysis, "exact"),
        "errors": error_figure(summary, analysis),
        "calibration": calibration_figure(summary, analysis),
    }
    not_drawn = [row_label(row) for row in summary.rows if row_label(row) not in {point.label for point in drawn}]
    document = summary.run.document
    emotions = emotions_section((emotion_run or summary.run).path / FILE_NAME, evaluation)
    return environment.get_template("report.html.j2").render(
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        summary=summary,
        dataset=document["dataset"],
        document=document,
        environment=document["environment"],
        excluded=document.get("excluded", []),
        protocol="; or ".join(dict.fromkeys(_protocol_text(row.cell["protocol"]) for row in summary.rows)),
        conditions=_conditions(summary),
        machines=sorted({str(row.cell["machine"]) for row in summary.rows}) or [document["environment"]["machine"]],
        answer=answer(summary),
        standing=standing(summary),
        columns=columns(summary, analysis),
        done=[row for row in summary.rows if row.done],
        not_done=[row for row in summary.rows if not row.done],
        sorted_by=f"AP {summary.primary}",
        filters=filters(summary.rows),
        filter_values=filter_values,
        plain_value=_plain_value,
        interval_ends=_interval_ends,
        label=row_label,
        threshold=threshold,
        figures=figures,
        operating_points=operating_points(summary),
        latency=latency_section(summary),
        latency_figures=latency_figures,
        most_dots=DOTS if any(strip.calls > DOTS for strip in calls) else 0,
        floor=floor_sentence(summary),
        what_is_timed=f"{WHAT_IS_TIMED} {decode_sentence(summary)}".rstrip(),
        not_drawn=not_drawn,
        reading=READING,
        analysis=analysis,
        standings=standings(summary, analysis),
        marks=MARKS,
        verdicts=WORDS,
        curve_figures=curve_figures,
        row_figures={name: (figure, _widths(figure.svg)) if figure else None for name, figure in row_figures.items()},
        protocols=protocols(summary, analysis),
        slices={name: slice_grid(summary, analysis, name) for name in ("recall", "exact")},
        events={name: event_grid(summary, analysis, name) for name in ("recall", "exact")},
        errors=error_grid(summary, analysis),
        calibration=calibration_grid(summary, analysis),
        perceived=perceived_grid(summary, analysis),
        caveat=DEMOGRAPHICS_CAVEAT,
        few_faces=FEW_FACES,
        few_pictures=FEW_PICTURES,
        in_depth=in_depth(summary, analysis),
        compared_runs=compared_runs(comparisons),
        gallery=gallery(summary) if pictures else Gallery([], []),
        with_pictures=pictures,
        emotions=emotions,
        stress=stress_section(summary.run, score_stress(summary.run, summary.resampled), pictures=pictures),
        commands=reproduce(
            summary, emotion_run, scored=emotions is not None, others=len(comparisons), pictures=pictures
        ),
    )


def _widths(drawn: Callable[[int], str]) -> dict[str, str]:
    """Draw a figure once for wide and once for narrow pages."""
    from markupsafe import Markup

    return {name: Markup(drawn(width)) for name, width in _FIGURE_WIDTHS_PX.items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the report says first.

    Attributes:
        sentence: the answer.
        picked: the cell key of the detector it names first; empty where there is none.
        notes: what qualifies it, a sentence each.
    """

    sentence: str
    picked: str
    notes: Sequence[str]


def answer(summary: Summary) -> Answer:
    """Say which detector is the fastest among the best, by the rule of `facebench pick`."""
    done = [row for row in summary.rows if row.done]
    if not done:
        return Answer("No detector finished: there is nothing to compare.", "", [])
    devices = {row.cell["device"] for row in done}
    device: Device = "cpu" if "cpu" in devices else "cuda"
    rule = Rule(device=device)
    try:
        choice = pick(summary, rule, demo=True, accept_noise=True, accept_unfinished=True)
    except UsageError as error:
        return Answer("No detector can be chosen.", "", [str(error)])
    winner = next(row for row in done if row.cell["key"] == choice["run"]["cell"])
    left_out = {row_label(row): choice["left_out"].get(row_label(row), "") for row in done if row is not winner}
    best = next(row for row in done if row is winner or not left_out[row_label(row)])
    if winner is best:
        sentence = (
            f"{row_label(winner)} has the best exact AP ({summary.primary}), and no detector that these pictures "
            f"cannot tell from it is faster: {_figures(winner, summary)}."
        )
    else:
        sentence = (
            f"{row_label(winner)} is the fastest detector that these pictures cannot tell from the best in exact AP "
            f"({summary.primary}): {_figures(winner, summary)}. "
            f"The best is {row_label(best)}: {_figures(best, summary)}."
        )
    stable = choice["stability"]
    notes = [
        f"The same rule chooses it in {stable['same_on_resamples']:.0%} of {stable['resamples']:,} resamples of the "
        f"pictures, and in {stable['same_on_halves']:.0%} of random halves of them."
    ]
    if choice["undecided"]:
        others = ", ".join(choice["undecided"])
        notes.append(f"By noisy latencies it could be {others} as well: measure again on a quiet machine.")
    if choice["unfinished"]:
        notes.append(f"Not finished, and could be chosen with a result: {', '.join(choice['unfinished'])}.")
    reasons = [f"{label} ({why})" for label, why in left_out.items() if why]
    notes += [f"Left out of the choice: {'; '.join(reasons)}."] if reasons else []
    if len(done) < len(summary.rows):
        notes.append(f"{len(summary.rows) - len(done)} of {len(summary.rows)} detectors have no result: see the table.")
    return Answer(sentence, str(winner.cell["key"]), notes)


def reproduce(
    summary: Summary,
    emotion_run: RunFolder | None = None,
    *,
    scored: bool = False,
    others: int = 0,
    pictures: bool = True,
) -> list[str]:
    """Return the commands that measure the run again; DIR stands for the data's folder, RUN for the results'.

    Args:
        summary: of the run.
        emotion_run: the run of the emotion stage, EMOTIONS in the commands; None: the run itself.
        scored: whether its emotions were scored.
        others: runs that it is compared with, OTHER in the commands.
        pictures: whether the report embeds pictures.
    """
    emotions, report = "RUN", ["facebench", "report", "RUN", *["OTHER"] * others]
    commands = _measure_again(summary.run, "RUN")
    if scored and emotion_run is not None:
        emotions = "EMOTIONS"
        report += ["--emotions", emotions]
        commands += _measure_again(emotion_run, emotions)
    if scored:
        data = [] if (emotion_run or summary.run).document["dataset"]["demo"] else ["--data", "DIR"]
        commands.append(shlex.join(["facebench", "emotions", "score", emotions, *data]))
    report += [] if pictures else ["--no-pictures"]
    return [*commands, shlex.join([*report, "-o", "report.html"])]


def _measure_again(run: RunFolder, name: str) -> list[str]:
    document = run.document
    cells = [cell for cell in run.cells if "predictions" not in cell]
    commands = [_score_again(cell, document) for cell in run.cells if "predictions" in cell]
    for protocol, device, threads in dict.fromkeys(_setting(cell) for cell in cells):
        alike = [cell for cell in cells if _setting(cell) == (protocol, device, threads)]
        size, score_floor = protocol
        rounds = max(cell["rounds"] for cell in alike)
        # a threshold of its own is that of a default_detector.json, which FACEBENCH_DEFAULT names
        specs = ",".join("default" if cell.get("threshold") is not None else str(cell["spec"]) for cell in alike)
        parts = ["facebench", "run", "--detectors", specs, "--dataset", document["dataset"]["name"]]
        parts += [] if document["dataset"]["demo"] else ["--data", "DIR"]
        parts += [] if size == "original" else ["--size", size]
        parts += [] if score_floor is None else ["--score-floor", f"{score_floor:g}"]
        parts += [] if device == "cpu" else ["--device", device]
        parts += [] if threads == 1 else ["--threads", str(threads)]
        parts += [] if rounds <= 1 else ["--rounds", str(rounds)]
        commands.append(shlex.join([*parts, "--out", name]))
    return commands


def _setting(cell: Mapping[str, Any]) -> tuple[tuple[str, float | None], str, int]:
    protocol = cell["protocol"]
    return (protocol["size"], protocol["score_floor"]), cell["device"], cell["threads"]


def _score_again(cell: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    parts = ["facebench", "score", cell["spec"], "--dataset", document["dataset"]["name"]]
    parts += [] if document["dataset"]["demo"] else ["--data", "DIR"]
    parts += ["--allow-missing"] if cell["predictions"]["missing"] or cell["predictions"]["extra"] else []
    return shlex.join([*parts, "--threshold", repr(cell["start"]["operating_threshold"]), "--out", "RUN"])


def _figures(row: Row, summary: Summary) -> str:
    assert row.latency is not None, "only finished rows are candidates"
    ap = f"{row.exact_ap(summary.primary):.3f}".removeprefix("0")
    # with no-break spaces, so that a number stays beside its unit
    return f"AP\u00a0{ap}, p50\u00a0{row.latency.p50_ms:,.1f}\u00a0ms, p90\u00a0{row.latency.p90_ms:,.1f}\u00a0ms"


def _protocol_text(protocol: Mapping[str, Any]) -> str:
    size = "pictures at their original size"
    if protocol["size"] == "unknown":
        size = "predictions from a file, which does not say how the pictures were given to the detector"
    elif protocol["size"] != "original":
        size = f"pictures scaled to {protocol['size']} px, inside the clock"
    floor = "each detector's own score floor"
    if protocol["score_floor"] is not None:
        floor = f"scores kept from {protocol['score_floor']:g} on"
    return f"{size}; {floor}; a hit is an overlap (IoU) of at least 0.5"


def _conditions(summary: Summary) -> str:
    """Say on which device and how many threads the detectors ran."""
    measured = [row.cell for row in summary.rows if "predictions" not in row.cell]
    found = dict.fromkeys((cell["device"], cell["threads"]) for cell in measured)
    if summary.rows and not found:
        return "not measured here"
    return "; ".join(f"{device}, {threads} thread{'' if threads == 1 else 's'}" for device, threads in found)


def _plain_value(column: Column, row: Row) -> str:
    """Return what a table cell is sorted by and copied as; empty where there is no number."""
    return column.text(row) if column.number is None else _plain(column.number(row))


def _interval_ends(column: Column, row: Row) -> tuple[str, str]:
    """Return the ends of the interval that a table cell shows; empty where it shows none."""
    limits = None if column.interval is None else column.interval(row)
    if limits is None or column.number is None or not math.isfinite(column.number(row)):
        return "", ""
    return _plain(limits.low), _plain(limits.high)


def _plain(value: float) -> str:
    return f"{value:.9g}" if math.isfinite(value) else ""


def _bracket_below(text: str) -> str:
    """Put what a cell holds in brackets on a line of its own, so that columns stay narrow."""
    from markupsafe import Markup

    number, _, bracket = text.partition("\n")
    return Markup("{} <small>{}</small>").format(number, bracket) if bracket else number


def _template_text(name: str) -> str:
    return "\n" + (_TEMPLATES / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """Return the source expression that lets exactly this inline text pass."""
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
