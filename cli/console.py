"""What the verbs share: options, consoles, fetching models, the table of a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import ModelStoreError

if TYPE_CHECKING:
    from rich.console import Console

    from ..benchmarks.summary import Summary
    from ..detectors import Detector, DetectorSpec
    from ..emotions import EmotionClassifier

Device = Literal["cpu", "cuda"]
PredictionsFormat = Literal["wider", "coco", "jsonl"]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
ByEvent = Annotated[bool, typer.Option("--by-event", help="Intervals over events instead of pictures: wider.")]
Seed = Annotated[int, typer.Option(help="Of the resamples behind the intervals.")]
RunPath = Annotated[Path, typer.Argument(help="A results folder, as `facebench run --out` wrote it.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the data set; else FACEBENCH_DATA.")]


def stderr() -> Console:
    """Return the console of progress and remarks."""
    from rich.console import Console

    return Console(stderr=True)


def stdout() -> Console:
    """Return a console that does not cut a table that goes to a file."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=240)


def fetch_models(specs: list[DetectorSpec], console: Console, strict: bool = False) -> None:
    """Bring what the detectors need; what cannot be brought makes its detector unavailable, not the command fail."""
    fetch_missing([name for spec in specs for name in spec.models()], console, strict)


def fetch_missing(models: list[str], console: Console, strict: bool = False) -> None:
    """Bring those of these model files that are not here."""
    from ..detectors import model_store

    for name in dict.fromkeys(models):
        if model_store.locate(name) is not None:
            continue
        try:
            fetch_model(name, console)
        except ModelStoreError as error:
            if strict:
                raise
            console.print(f"{name}: {error}", style="yellow", soft_wrap=True, highlight=False, markup=False)


def fetch_model(name: str, console: Console) -> Path:
    """Bring one model file here, with a progress bar; return where it lies."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from ..detectors import model_store

    bars = (TextColumn("fetching {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*bars, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        return model_store.fetch(
            name, progress=lambda done, total: progress.update(task, completed=done, total=total or None)
        )


def print_summary(summary: Summary, as_json: bool) -> None:
    """Print the table of a run, or its JSON."""
    from rich.markup import escape
    from rich.table import Table

    from ..reports.table import columns, floor_sentence, parts, remarks, standing, to_json

    if as_json:
        typer.echo(json.dumps(to_json(summary), indent=2))
        return
    console = stdout()
    done = [row for row in summary.rows if row.done]
    console.print(escape(summary.scope), highlight=False)
    for chosen in parts(columns(summary), done, console.width):
        table = Table()
        for column in chosen:
            table.add_column(column.title, justify="left" if column.number is None else "right", overflow="fold")
        for row in done:
            table.add_row(*(escape(column.text(row)) for column in chosen))
        console.print(table)
    for row in summary.rows:
        if not row.done:
            typer.echo(f"{row.cell['spec']}: {remarks(row)}")
    for sentence in filter(None, (standing(summary), floor_sentence(summary))):
        typer.echo(sentence)
    for note in summary.run.document["dataset"]["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(
        "AP is exact (every distinct score a threshold) at IoU 0.5; p50 is one detect call. "
        f"In brackets: 95 % intervals over resampled {summary.resampled.unit}."
    )


def picked_or(spec: str) -> str:
    """Return a spec as it is, or that of the picked detector for "default"."""
    from ..benchmarks.default_detector import default_file, read_pick

    return str(read_pick(default_file())["detector"]) if spec == "default" else spec


def create_fetched(text: str, device: Device) -> Detector:
    """Bring what a detector needs and create it."""
    from ..detectors import create, resolve

    spec = resolve(text)
    fetch_models([spec], stderr(), strict=True)
    return create(spec, device=device)


def load_classifier(name: str, title: str | None = None) -> EmotionClassifier:
    """Return a classifier by name or file, under its own name or another; what the baseline needs is brought."""
    from ..emotions.classifier import CLASSIFIERS, EmotionClassifier, create_classifier
    from ..emotions.keras_mini_xception import MODEL_NAME

    if name not in CLASSIFIERS and name.endswith(".onnx"):
        return EmotionClassifier(Path(name), name=title or Path(name).stem)
    if name == "mini-xception":
        fetch_missing([MODEL_NAME], stderr(), strict=True)
    return create_classifier(name)
