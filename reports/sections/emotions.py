"""What a detector does to the emotion stage: the section of the report and the table for a terminal.

Everything is read from `emotions.json` beside the run and from the classification report, which `facebench emotions`
writes; nothing is computed again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...benchmarks.resampling.bootstrap import Interval
from ...errors import ResultsError
from ..figures.emotions import BarParts, confusion_matrix, what_is_lost
from ..figures.svg import wide_and_narrow
from ..values.emotion_scores import CLASSIFICATION, FILE_NAME, SCORES, differences_of, interval, read, tables_of
from ..values.grids import FEW_FACES, Grid, GridCell, Heading
from ..values.numbers import NONE, between, between_signed, number_of, plain, share, signed, with_interval
from ..values.standings import Standing, difference, standings
from .base import Page, Section

if TYPE_CHECKING:
    from markupsafe import Markup

ORDER = 150
COLUMNS = (
    ("annotated box", "oracle_accuracy", "accuracy of the classifier on the annotated boxes: no detector's doing"),
    ("found", "detected_rate", "share of the faces found at the detector's own threshold"),
    ("right when found", "accuracy_when_detected", "of the faces found, so each detector's own: does not compare"),
    ("right of all", "e2e_accuracy", "share of all faces found and given their emotion: the number that compares"),
    ("lost by misses", "miss_loss", "right on the annotated box, not found; share of all faces"),
    (
        "lost by crops",
        "crop_loss",
        "of the faces found, right on the annotated box less right on the detector's; of all",
    ),
    ("false alarms per image", "false_alarms_per_picture", "boxes on no face or second on one; each gets an emotion"),
)
"""Title, name of the rate and what it is."""
_SIGNED = ("crop_loss",)
_VARIANTS = ("calibrated", "equal_alarms")
_WITHOUT_INTERVAL = "calibration_error"


@dataclass(frozen=True, slots=True)
class LossRow:
    """One detector of the table.

    Attributes:
        label: its name.
        cells: number and its interval, for each of `COLUMNS`.
        others: right of all and its change, with a crop fitted to the detector's own boxes, then with a threshold for
            equally many false alarms; dashes without.
        best: no detector is shown to be better on these images.
    """

    label: str
    cells: Sequence[tuple[str, str]]
    others: Sequence[tuple[str, str]]
    best: bool


@dataclass(frozen=True, slots=True)
class ClassificationRow:
    """One classifier on one data set, number and interval each."""

    dataset: str
    classifier: str
    images: str
    cells: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class EmotionsSection:
    """All that the template `emotions.html.j2` shows; empty parts are left out there.

    Attributes:
        answer: what a better detector buys, in a sentence or two.
        scope: on what, how drawn, with which classifier and crop.
        equal_alarms: false alarms per image, at most, in the last columns of the table.
        demo: the images show two people and measure nothing.
        rows: the table, best first.
        losses: at which thresholds, and by width where the faces go, one bar per detector.
        standings: at which thresholds, and every detector against every other.
        by_emotion: right of all by emotion, the annotated boxes first.
        by_size: the same by height of the face.
        alarms: emotions given to false alarms.
        policies: right of all by crop policy, where several were scored.
        confusion_figures: by width: how the classifier answers.
        confusion_title: on what.
        classification: its scores on the data sets that it was tested on.
        notes: on these, one sentence each.
    """

    answer: str
    scope: str
    equal_alarms: float
    demo: bool
    rows: Sequence[LossRow]
    losses: Sequence[tuple[str, Mapping[str, Markup]]]
    standings: Sequence[tuple[str, Sequence[Standing]]]
    by_emotion: Grid
    by_size: Grid
    alarms: Grid
    policies: Grid | None
    confusion_figures: Mapping[str, Markup]
    confusion_title: str
    classification: Sequence[ClassificationRow]
    notes: Sequence[str]

    @property
    def columns(self) -> Sequence[tuple[str, str, str]]:
        """Title, name and meaning of each column of the table."""
        return COLUMNS


def section(page: Page) -> Section | None:
    """Show what each detector does to the emotion stage; None where no emotion was scored."""
    scores = scores_of(page)
    return None if scores is None else Section("emotions", "emotions.html.j2", {"emotions": scores}, "emotions")


def scores_of(page: Page) -> EmotionsSection | None:
    """Return the emotion scores beside the run that the page names; None where there are none."""
    return emotions_section((page.emotion_run or page.summary.run).path / FILE_NAME, page.evaluation)


def emotions_section(
    path: Path | None, evaluation: Path | None = None, *, classifier: str | None = None, policy: str | None = None
) -> EmotionsSection | None:
    """Read the emotion scores of a run.

    Args:
        path: `emotions.json`; None, or a path at which there is nothing: there is no section.
        evaluation: the classification report of the same classifier, where there is one.
        classifier: name of the classifier to show; None: the one that was first scored last.
        policy: crop policy to show; None: the one with the most rows of that classifier.

    Raises:
        ResultsError: a file is damaged, or holds no such classifier or policy.
        SchemaVersionError: another version of the format wrote it.
    """
    if path is None or not path.exists():
        return None
    document = read(path, SCORES)
    reports = read(evaluation, CLASSIFICATION) if evaluation is not None and evaluation.exists() else None
    try:
        tables = tables_of(document, classifier, policy)
        return None if not tables else _section(document, tables, reports)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ResultsError(
            f"{path} is damaged: {error!r}. Remove it and score again: facebench emotions score"
        ) from error


def emotions_text(section: EmotionsSection, width: int | None = None) -> str:
    """Return answer, scope and table as text with columns.

    Args:
        section: what to say.
        width: characters a line of the table may have: it is split into several, each with the detectors; None: any.
    """
    head = ["detector", *(title for title, _, _ in COLUMNS), "own crop", "change", "equal alarms", "change"]
    body = [
        [row.label, *(f"{number} ({ends})" if ends else number for number, ends in (*row.cells, *row.others))]
        for row in section.rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    blocks: list[list[int]] = []
    for column in range(1, len(head)):
        taken = sum(widths[one] + 2 for one in (blocks[-1] if blocks else []))
        if not blocks or (width is not None and taken + widths[column] > width):
            blocks.append([0])
        blocks[-1].append(column)
    tables = [
        "\n".join("  ".join(row[one].ljust(widths[one]) for one in block).rstrip() for row in (head, *body))
        for block in blocks
    ]
    return "\n\n".join([section.answer, *tables, section.scope])


def _section(
    document: Mapping[str, Any], tables: Sequence[Mapping[str, Any]], reports: Mapping[str, Any] | None
) -> EmotionsSection:
    table, dataset = tables[0], document["dataset"]
    same = [row for row in table["rows"] if row["variant"] == "same"]
    report = _private_report(reports, table["classifier"]["sha256"])
    emotions, confusion = table["emotions"], table["oracle_confusion"]
    title = f"{table['classifier']['name']} on the annotated boxes of {dataset['name']}"
    if report is not None:
        emotions, confusion = report["classes"], report["confusion"]
        title = f"{table['classifier']['name']} on FER2013 PrivateTest"
    equal = [row for row in table["rows"] if row["variant"] == "equal_alarms"]
    settings = (
        ("At each detector's own threshold", same),
        (f"At thresholds for at most {table['equal_alarms']:g} false alarms per image", equal),
    )
    return EmotionsSection(
        answer=answer(table),
        scope=_scope(table, dataset),
        equal_alarms=table["equal_alarms"],
        demo=bool(dataset["demo"]),
        rows=[_row(row, table) for row in same],
        losses=[(title, _losses(rows)) for title, rows in settings if rows],
        standings=[(title, _standings(rows, table)) for title, rows in settings if len(rows) > 1],
        by_emotion=_groups(same, "by_emotion", dataset),
        by_size=_groups(same, "by_size", dataset),
        alarms=_alarms(same, dataset),
        policies=_policies(tables) if len(tables) > 1 else None,
        confusion_figures=wide_and_narrow(lambda width: confusion_matrix(emotions, confusion, title, width)),
        confusion_title=title,
        classification=_classification(reports),
        notes=[] if reports is None else reports["notes"],
    )


def answer(table: Mapping[str, Any]) -> str:
    """Say what a better detector buys, from a stored table."""
    same = [row for row in table["rows"] if row["variant"] == "same"]
    equal = [row for row in table["rows"] if row["variant"] == "equal_alarms"]
    if not same:
        return "No detector finished: there is nothing to compare."
    best = same[0]
    rates = {name: interval(value) for name, value in best["rates"].items()}
    oracle = rates["oracle_accuracy"]
    sentences = [
        f"With {best['label']}, {table['classifier']['name']} names the emotion of "
        f"{with_interval(rates['e2e_accuracy'])} of all faces; on the annotated boxes it is {with_interval(oracle)}, "
        f"and {share(1 - oracle.value)} is the classifier's own."
    ]
    if len(same) > 1:
        sentences.append(f"Over {same[-1]['label']}, the last, that is {_gain(table, best, same[-1])}.")
    if len(equal) > 1:
        rate = interval(equal[0]["rates"]["e2e_accuracy"])
        sentences.append(
            f"At thresholds for at most {table['equal_alarms']:g} false alarms per image, {equal[0]['label']} is first "
            f"with {with_interval(rate)}; over {equal[-1]['label']}, the last, that is "
            f"{_gain(table, equal[0], equal[-1])}."
        )
    return " ".join(sentences)


def _gain(table: Mapping[str, Any], best: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Say by how much one row is better than another, and where that comes from."""
    gain = difference(differences_of(table), best["key"], other["key"])
    shown = ", not significantly different from none" if gain.holds_zero else ""
    one, two, faces = best["totals"], other["totals"], best["totals"]["faces"]
    misses = two["missed_right"] - one["missed_right"]
    crops = (two["crop_lost"] - two["crop_gained"]) - (one["crop_lost"] - one["crop_gained"])
    return (
        f"{signed(gain.value)} ({between_signed(gain)}){shown}: {signed(misses / faces)} by faces found, "
        f"{signed(crops / faces)} by crops"
    )


def _scope(table: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
    drawn = table["resampling"]
    unit = "events" if drawn["by_event"] else "images"
    return (
        f"{dataset['name']}: {dataset['coverage']}, {number_of(dataset['faces'], 'labelled face')}; classifier "
        f"{table['classifier']['name']} ({table['classifier']['sha256'][:12]}), crop {table['policy']}; every detector "
        "at its own threshold, boxes matched to faces one to one at an overlap (IoU) of 0.5; in brackets 95 % "
        f"intervals over {drawn['draws']:,} resamples of whole {unit}."
    )


def _row(row: Mapping[str, Any], table: Mapping[str, Any]) -> LossRow:
    cells = [_cell(name, interval(row["rates"][name])) for _, name, _ in COLUMNS]
    others = []
    for variant in _VARIANTS:
        one = next((one for one in table["rows"] if (one["cell"], one["variant"]) == (row["cell"], variant)), None)
        if one is None:
            others += [(NONE, ""), (NONE, "")]
            continue
        change = difference(differences_of(table), one["key"], row["key"])
        others.append(_cell("e2e_accuracy", interval(one["rates"]["e2e_accuracy"])))
        others.append((signed(change.value), between_signed(change)))
    return LossRow(row["label"], cells, others, row["key"] in table["tied"]["same"])


def _cell(name: str, found: Interval) -> tuple[str, str]:
    if name == "false_alarms_per_picture":
        ends = f"{plain(found.low)}–{plain(found.high)}" if math.isfinite(found.low) else ""
        return plain(found.value), ends
    if name in _SIGNED:
        return share(found.value), between_signed(found)
    return share(found.value), between(found)


def _losses(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Markup]:
    bars = []
    for row in rows:
        of = row["totals"]
        parts = (of["right"], of["crop_lost"], of["missed_right"], of["own_errors"])
        bars.append(BarParts(row["label"], of["faces"], of["oracle_right"], parts))
    return wide_and_narrow(lambda width: what_is_lost(bars, width))


def _standings(rows: Sequence[Mapping[str, Any]], table: Mapping[str, Any]) -> list[Standing]:
    first = {key: math.nan if share is None else share for key, share in table["first"].items()}
    return standings({row["key"]: row["label"] for row in rows}, first, differences_of(table))


def _groups(rows: Sequence[Mapping[str, Any]], kind: str, dataset: Mapping[str, Any]) -> Grid:
    """Return a column for each group of faces, with a first row for the annotated boxes."""
    parts = rows[0][kind] if rows else []
    headings = [
        Heading(part["name"], f"{part['totals']['faces']:,}", part["totals"]["faces"] < FEW_FACES) for part in parts
    ]
    lines = [("annotated boxes", "oracle_accuracy", row) for row in rows[:1]]
    lines += [(row["label"], "e2e_accuracy", row) for row in rows]
    return Grid(
        "detector",
        [("right of all faces", headings)],
        [
            (
                Heading(label),
                [_shaded(part["rates"][rate], few=one.few) for part, one in zip(row[kind], headings, strict=True)],
            )
            for label, rate, row in lines
        ],
    )


def _shaded(values: Sequence[float | None], *, few: bool = False) -> GridCell:
    found = interval(values)
    level = None if few or not math.isfinite(found.value) else min(9, max(0, int(found.value * 10)))
    return GridCell(share(found.value, 2), between(found), level, few)


def _alarms(rows: Sequence[Mapping[str, Any]], dataset: Mapping[str, Any]) -> Grid:
    emotions = list(rows[0]["alarm_emotions"]) if rows else []
    return Grid(
        "detector",
        [("emotions given to false alarms", [Heading(name) for name in (*emotions, "all")])],
        [
            (
                Heading(row["label"]),
                [
                    GridCell(f"{count:,}")
                    for count in (*row["alarm_emotions"].values(), sum(row["alarm_emotions"].values()))
                ],
            )
            for row in rows
        ],
    )


def _policies(tables: Sequence[Mapping[str, Any]]) -> Grid:
    """Return a row for each crop policy and a column for each detector."""
    keys = [row["key"] for row in tables[0]["rows"] if row["variant"] == "same"]
    labels = {row["key"]: row["label"] for row in tables[0]["rows"]}
    rows = []
    for table in tables:
        of = {row["key"]: row["rates"] for row in table["rows"]}
        first = next(iter(of.values()), None)
        cells = [GridCell(NONE) if first is None else _shaded(first["oracle_accuracy"])]
        cells += [_shaded(of[key]["e2e_accuracy"]) if key in of else GridCell(NONE) for key in keys]
        rows.append((Heading(table["policy"]), cells))
    headings = [Heading("annotated boxes"), *(Heading(labels[key]) for key in keys)]
    return Grid("crop", [("", headings)], rows, upright=True)


def _classification(reports: Mapping[str, Any] | None) -> list[ClassificationRow]:
    if reports is None:
        return []
    names = ("accuracy", "balanced_accuracy", "macro_f1", _WITHOUT_INTERVAL, "mean_precision")
    rows = []
    for dataset, title in reports["titles"].items():
        for one in reports["classifiers"]:
            report = one["reports"].get(dataset)
            if report is None:
                continue
            found = [interval(report[name]) for name in names]
            # older documents hold ends of the calibration error, which it cannot have
            error = names.index(_WITHOUT_INTERVAL)
            found[error] = interval([found[error].value, None, None])
            less = interval(report["mean_precision_less_accuracy"])
            cells = [(share(value.value), between(value)) for value in found]
            cells.append((signed(less.value), between_signed(less)))
            rows.append(ClassificationRow(title, one["name"], f"{report['pictures']:,}", cells))
    return rows


def _private_report(reports: Mapping[str, Any] | None, sha256: str) -> Mapping[str, Any] | None:
    if reports is None:
        return None
    found = (one["reports"].get("private") for one in reports["classifiers"] if one["sha256"] == sha256)
    return next(found, None)
