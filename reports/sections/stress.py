"""Robustness against degradations: the section of the report, and the ranking for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.store.documents import finite
from ...benchmarks.store.run_document import DatasetInfo
from ...benchmarks.store.run_folder import RunFolder
from ...benchmarks.stress.run import FOLDER, read_index
from ...benchmarks.stress.scores import StressRow, StressScores, score_stress
from ...benchmarks.stress.strips import CLEAN, read_strips, read_window
from ...datasets.degraded.degradations import KINDS
from ..figures.stress import average_precision_by_severity
from ..figures.svg import wide_and_narrow
from ..text.commands import command
from ..values.grids import Grid, GridCell, Heading
from ..values.numbers import NONE, between, between_signed, number_of, share, signed, with_interval
from ..values.standings import Standing, standings
from .base import Page, Section
from .gallery import box_path, data_uri

if TYPE_CHECKING:
    from markupsafe import Markup

ORDER = 140
WHAT_IT_IS_NOT = (
    "The degradations are made by formula, one at a time, from images as they are: they are not real night, fog or "
    "mask, and who is robust here need not be so there."
)


@dataclass(frozen=True, slots=True)
class RankingRow:
    """One detector of the ranking.

    Attributes:
        label: its name.
        cells: number and interval: AP on the images as they are, mean AP degraded, share kept, share kept by kind.
        tied: no detector is shown to keep more on these images.
    """

    label: str
    cells: Sequence[tuple[str, str]]
    tied: bool


@dataclass(frozen=True, slots=True)
class Tile:
    """A small image of what a degradation does.

    Attributes:
        title: such as "3: JPEG of quality 15".
        source: the JPEG as a data URI.
        width: pixels.
        height: pixels.
        boxes: the faces, as SVG path data.
    """

    title: str
    source: str
    width: int
    height: int
    boxes: str


@dataclass(frozen=True, slots=True)
class StressSection:
    """All that the template `stress.html.j2` shows.

    Attributes:
        answer: who is robust, one sentence each.
        scope: on what, and how drawn.
        head: headings of the ranking.
        rows: the ranking.
        figures: by width: AP against severity, a panel a kind.
        standings: share kept, every detector against every other.
        precision: exact AP under every degradation.
        changes: the same less AP on the images as they are, paired.
        levels: kind, what it does at the five severities, where that comes from.
        strips: kind, its images from clean to the highest severity; empty where none are to be shown.
        image_id: of the image in the strips.
        commands: that run it again; DIR stands for the data's folder, RUN for that of the results.
    """

    answer: Sequence[str]
    scope: str
    head: Sequence[str]
    rows: Sequence[RankingRow]
    figures: Mapping[str, Markup]
    standings: Sequence[Standing]
    precision: Grid
    changes: Grid
    levels: Sequence[tuple[str, str, str]]
    strips: Sequence[tuple[str, Sequence[Tile]]]
    image_id: str
    commands: Sequence[str]

    @property
    def caveat(self) -> str:
        """What the figures are not."""
        return WHAT_IT_IS_NOT


def section(page: Page) -> Section | None:
    """Show what degraded images do; None where the run was not stressed."""
    run = page.summary.run
    stress = stress_section(run, score_stress(run, page.summary.resampled), images=page.images)
    return None if stress is None else Section("stress", "stress.html.j2", {"stress": stress}, "degraded images")


def stress_section(run: RunFolder, scores: StressScores | None, *, images: bool = True) -> StressSection | None:
    """Lay out the scores of a stress run; None where there are none.

    Args:
        run: the folder.
        scores: of the same run.
        images: whether images of the data set are embedded.

    Raises:
        ResultsError: an image of the strips is missing or damaged.
    """
    if scores is None or not scores.rows:
        return None
    head, rows = ranking(scores)
    strips, image_id = _strips(run, scores) if images else ([], "")
    ranked = {row.key: row.label for row in scores.rows if math.isfinite(row.kept.value)}
    return StressSection(
        answer=answer(scores),
        scope=_scope(scores, run.document.dataset),
        head=head,
        rows=rows,
        figures=wide_and_narrow(lambda width: average_precision_by_severity(scores, width)),
        standings=standings(ranked, scores.first, {pair: one.interval for pair, one in scores.differences.items()}),
        precision=_grid(scores, lambda point: point.ap, signs=False),
        changes=_grid(scores, lambda point: point.change, signs=True),
        levels=[_levels(scores, kind) for kind in _kinds(scores)],
        strips=strips,
        image_id=image_id,
        commands=_run_again(run, scores),
    )


def answer(scores: StressScores) -> list[str]:
    """Say who keeps most of its AP, who has most AP left, and what could not be ranked, one sentence each."""
    rows = {row.key: row for row in scores.rows}
    ranked = [row.key for row in scores.rows if math.isfinite(row.kept.value)]
    if not ranked:
        sentences = ["No detector was run under every degradation: nothing can be ranked."]
    else:
        best, most = rows[scores.tied[0]], rows[scores.best_ap[0]]
        sentences = [
            f"{best.label} keeps {'most' if len(ranked) > 1 else 'this share'} of its AP on degraded images: "
            f"{with_interval(best.kept)}, mean over {_count(scores)}{_told_apart(scores.tied, rows)}.",
            f"Most AP on degraded images is left to {most.label}: {with_interval(most.mean_ap)} of "
            f"{with_interval(most.clean)}{_told_apart(scores.best_ap, rows)}.",
        ]
    return sentences + [_not_ranked(row) for row in scores.rows if row.key not in ranked]


def ranking(scores: StressScores) -> tuple[list[str], list[RankingRow]]:
    """Return the headings of the ranking and its rows, best first."""
    kinds = _kinds(scores)
    head = ["detector", f"AP {scores.list_name}", "AP degraded", "kept", *(f"kept, {kind}" for kind in kinds)]
    nothing = Interval(math.nan, math.nan, math.nan, 0.95, 0)
    rows = [
        RankingRow(
            row.label,
            [
                (share(one.value), between(one))
                for one in (
                    row.clean,
                    row.mean_ap,
                    row.kept,
                    *(row.kept_by_kind.get(kind, nothing) for kind in kinds),
                )
            ],
            row.key in scores.tied,
        )
        for row in scores.rows
    ]
    return head, rows


def to_json(scores: StressScores) -> dict[str, Any]:
    """Return the scores as JSON; what is not a number is null, what is random says how it was drawn."""
    plain = {
        "schema": "facebench.stress-scores",
        "schema_version": 1,
        "list": scores.list_name,
        "pictures": scores.images,
        "resampled": asdict(scores.resampled),
        "degradations": [{**asdict(one), "words": scores.words[one]} for one in scores.degradations],
        "rows": [_row_json(scores, row) for row in scores.rows],
        "differences_kept": [
            {"first": a, "second": b, "value": _ends(one.interval), "share_above": one.share_above}
            for (a, b), one in scores.differences.items()
        ],
    }
    found: dict[str, Any] = finite(plain)
    return found


def _row_json(scores: StressScores, row: StressRow) -> dict[str, Any]:
    return {
        "cell": row.key,
        "detector": row.label,
        "ap": _ends(row.clean),
        "ap_degraded": _ends(row.mean_ap),
        "kept": _ends(row.kept),
        "kept_by_kind": {kind: _ends(one) for kind, one in row.kept_by_kind.items()},
        "tied_with_best": row.key in scores.tied,
        "first": scores.first.get(row.key),
        "points": [
            {**asdict(point.degradation), "ap": _ends(point.ap), "change": _ends(point.change)} for point in row.points
        ],
        "missing": [str(one) for one in row.missing],
    }


def _ends(one: Interval) -> list[float]:
    return [one.value, one.low, one.high]


def _kinds(scores: StressScores) -> list[str]:
    return list(dict.fromkeys(one.kind for one in scores.degradations))


def _count(scores: StressScores) -> str:
    kinds = _kinds(scores)
    return f"{number_of(len(scores.degradations), 'degradation')} ({', '.join(kinds)})"


def _told_apart(tied: Sequence[str], rows: Mapping[str, StressRow]) -> str:
    if len(tied) > 1:
        others = ", ".join(rows[key].label for key in tied[1:])
        return f"; not significantly different from {others}"
    return "; that it is ahead of every other is clear" if len(rows) > 1 else ""


def _not_ranked(row: StressRow) -> str:
    if row.missing:
        missing = ", ".join(map(str, row.missing[:3])) + (" and others" if len(row.missing) > 3 else "")
        return f"{row.label} is not ranked: it has no result for {missing}."
    return f"{row.label} is not ranked: it has no AP on the images as they are."


def _scope(scores: StressScores, dataset: DatasetInfo) -> str:
    drawn = scores.resampled
    return (
        f"{dataset.shown}, {dataset.coverage}, {scores.images:,} of them decodable under every degradation; "
        f"exact AP on {scores.list_name}; in brackets 95 % intervals over {drawn.draws:,} resamples of the same "
        f"{drawn.unit} for all. Degradations by facebench, the constants of blur, noise and JPEG from ImageNet-C."
    )


def _run_again(run: RunFolder, scores: StressScores) -> list[str]:
    """Return a command for each set of severities that kinds were run at."""
    index, dataset = read_index(run), run.document.dataset
    of_severities: dict[tuple[int, ...], list[str]] = {}
    for kind in _kinds(scores):
        severities = tuple(one.severity for one in scores.degradations if one.kind == kind)
        of_severities.setdefault(severities, []).append(kind)
    cells = [cell for cell in run.cells if cell.key in {row.key for row in scores.rows}]
    commands = []
    for severities, kinds in of_severities.items():
        for size, device in dict.fromkeys((cell.protocol.size, cell.device) for cell in cells):
            alike = (cell for cell in cells if (cell.protocol.size, cell.device) == (size, device))
            specs = ",".join(dict.fromkeys(cell.spec for cell in alike))
            options = {
                "--kinds": ",".join(kinds),
                "--severities": ",".join(map(str, severities)),
                "--seed": 0 if index is None else index.seed,
                "--size": size,
                "--device": device,
            }
            commands.append(command("stress", ["--detectors", specs], dataset, options))
    return commands


def _grid(scores: StressScores, of: Callable[[Any], Interval], *, signs: bool) -> Grid:
    groups = [
        (kind, [Heading(str(one.severity)) for one in scores.degradations if one.kind == kind])
        for kind in _kinds(scores)
    ]
    rows = []
    for row in scores.rows:
        found = {point.degradation: of(point) for point in row.points}
        rows.append((Heading(row.label), [_cell(found.get(one), signs=signs) for one in scores.degradations]))
    return Grid("detector", groups, rows)


def _cell(found: Interval | None, *, signs: bool) -> GridCell:
    if found is None or not math.isfinite(found.value):
        return GridCell(NONE)
    if signs:
        return GridCell(signed(found.value, 2), between_signed(found, 2))
    return GridCell(share(found.value, 2), between(found), min(9, max(0, int(found.value * 10))))


def _levels(scores: StressScores, kind: str) -> tuple[str, str, str]:
    of = [one for one in scores.degradations if one.kind == kind]
    levels = ", ".join(f"{one.level:.2g}" for one in of)
    return kind, KINDS[kind].words.format(levels), KINDS[kind].source


def _strips(run: RunFolder, scores: StressScores) -> tuple[list[tuple[str, list[Tile]]], str]:
    folder = run.path / FOLDER
    strips = read_strips(folder)
    if strips is None:
        return [], ""
    windows = {window.name: window for window in strips.windows}
    found = []
    for kind in _kinds(scores):
        of = [one for one in scores.degradations if one.kind == kind]
        names = [(CLEAN, "as it is"), *((f"{kind}-{one.severity}", f"{one.severity}: {one.words}") for one in of)]
        tiles = []
        for name, title in names:
            window = windows.get(name)
            if window is not None:
                source = data_uri(read_window(folder, window))
                boxes = np.array(window.boxes, np.float64).reshape(-1, 4)
                tiles.append(Tile(title, source, window.width, window.height, box_path(boxes, 1.0)))
        found.append((kind, tiles))
    return found, strips.image_id
