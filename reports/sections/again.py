"""The commands that measure the run again, the machine and the versions."""

from __future__ import annotations

import shlex

from ...benchmarks.analysis.table import Summary
from ...benchmarks.store.records import PredictionsInfo, Protocol, StoredCell
from ...benchmarks.store.run_document import DatasetInfo
from ...benchmarks.store.run_folder import RunFolder
from ..text.commands import command
from .base import Page, Section
from .emotions import scores_of

ORDER = 190


def section(page: Page) -> Section:
    """Say how to measure the run again."""
    document = page.summary.run.document
    commands = reproduce(
        page.summary,
        page.emotion_run,
        scored=scores_of(page) is not None,
        others=len(page.comparisons),
        images=page.images,
    )
    values = {"commands": commands, "dataset": document.dataset, "environment": document.environment}
    return Section("again", "again.html.j2", {**values, "compared": bool(page.comparisons)})


def reproduce(
    summary: Summary,
    emotion_run: RunFolder | None = None,
    *,
    scored: bool = False,
    others: int = 0,
    images: bool = True,
) -> list[str]:
    """Return the commands that measure the run again; DIR stands for the data's folder, RUN for the results'.

    Args:
        summary: of the run.
        emotion_run: the run of the emotion stage, EMOTIONS in the commands; None: the run itself.
        scored: whether its emotions were scored.
        others: runs that it is compared with, OTHER in the commands.
        images: whether the report embeds images.
    """
    emotions, report = "RUN", ["facebench", "report", "RUN", *["OTHER"] * others]
    commands = _measure_again(summary.run, "RUN")
    if scored and emotion_run is not None:
        emotions = "EMOTIONS"
        report += ["--emotions", emotions]
        commands += _measure_again(emotion_run, emotions)
    if scored:
        data = [] if (emotion_run or summary.run).document.dataset.demo else ["--data", "DIR"]
        commands.append(shlex.join(["facebench", "emotions", "score", emotions, *data]))
    report += [] if images else ["--no-images"]
    return [*commands, shlex.join([*report, "-o", "report.html"])]


def _measure_again(run: RunFolder, name: str) -> list[str]:
    dataset = run.document.dataset
    cells = [cell for cell in run.cells if cell.predictions is None]
    commands = [_score_again(one, one.predictions, dataset) for one in run.cells if one.predictions]
    for protocol, device, threads in dict.fromkeys(_setting(cell) for cell in cells):
        alike = [cell for cell in cells if _setting(cell) == (protocol, device, threads)]
        rounds = max(1, *(cell.rounds for cell in alike))
        # a threshold of its own is that of a default_detector.json, which FACEBENCH_DEFAULT names
        specs = ",".join("default" if cell.threshold is not None else cell.spec for cell in alike)
        floor = None if protocol.score_floor is None else f"{protocol.score_floor:g}"
        options = {"--size": protocol.size, "--score-floor": floor, "--device": device, "--threads": threads}
        commands.append(command("run", ["--detectors", specs], dataset, options | {"--rounds": rounds}, name))
    return commands


def _setting(cell: StoredCell) -> tuple[Protocol, str, int]:
    return cell.protocol, cell.device, cell.threads


def _score_again(cell: StoredCell, predictions: PredictionsInfo, dataset: DatasetInfo) -> str:
    allowed = ["--allow-missing"] if predictions.missing or predictions.extra else []
    return command("score", [cell.spec, *allowed], dataset, {"--threshold": repr(cell.operating_threshold)})
