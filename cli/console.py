"""What the verbs share: options, consoles, fetching models, the table of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import ModelStoreError
from ..safe_text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ..benchmarks.analysis.table import Summary
    from ..benchmarks.store.records import StoredCell
    from ..detectors import Detector, DetectorSpec, Setting
    from ..emotions import EmotionClassifier

Device = Literal["cpu", "cuda"]
WrittenFormat = Literal["wider", "coco", "jsonl"]
PredictionsFormat = Literal["wider", "coco", "jsonl", "yolo"]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
ByEvent = Annotated[bool, typer.Option("--by-event", help="Intervals over events instead of images: wider.")]
Seed = Annotated[int, typer.Option(help="Of the resamples behind the intervals.")]
RunPath = Annotated[Path, typer.Argument(help="A results folder, as `facebench run --out` wrote it.")]
MaxMegapixels = Annotated[float, typer.Option(min=1, help="The largest images that are read, in millions of pixels.")]
BoxFormat = Annotated[
    str | None,
    typer.Option(
        "--box-format",
        help="What the four numbers of a box are: xywh, xyxy, cxcywh, yxyx or trbl (top, right, bottom, left); :1 "
        "or :1000 behind it where they run from 0 to that over the image. Else as the file's format has it.",
    ),
]
Data = Annotated[Path | None, typer.Option(help="Folder of the data set; else FACEBENCH_DATA.")]


def with_box_format(dataset: str, box_format: str | None) -> str:
    """Return a data set's name with the option of its boxes."""
    from ..datasets.query import join_name, split_name

    base, options = split_name(dataset)
    return join_name(base, {**options, "box_format": box_format} if box_format else options)


def say(*lines: str, err: bool = False) -> None:
    """Print lines, whatever strangers' text is in them; a break inside one is shown as its escape."""
    for line in lines:
        typer.echo(visible(line), err=err)


def json_text(value: Any, indent: int | None = None) -> str:
    """Return JSON for a terminal or log: ASCII without control characters, and without GitHub's older orders."""
    return json.dumps(value, indent=indent).replace("##[", "#\\u0023[").replace("\x7f", "\\u007f")


def stderr() -> Console:
    """Return the console of progress and remarks."""
    return _console(stderr=True)


def stdout() -> Console:
    """Return a console that does not cut a table that goes to a file."""
    return _console() if sys.stdout.isatty() else _console(width=240)


def _console(**options: Any) -> Console:
    """A console that shows text as it is: nothing in it is markup, an emoji or an order to the terminal."""
    from rich.console import Console
    from rich.segment import Segment

    class PlainConsole(Console):
        def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
            for text, style, control in super().render(*arguments, **options):
                yield Segment(text if control else "\n".join(map(visible, text.split("\n"))), style, control)

        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704  `main` knows what to do

    return PlainConsole(markup=False, emoji=False, highlight=False, **options)


def fetch_models(
    specs: list[DetectorSpec], console: Console, strict: bool = False, device: Device | None = None
) -> None:
    """Fetch what the detectors need; what cannot be fetched makes its detector unavailable, not the command fail.

    Nothing is fetched for a detector that cannot run here all the same.

    Args:
        specs: the detectors.
        console: for progress.
        strict: raise where a detector cannot run, or a file cannot be fetched.
        device: where they shall run; None where that is not known yet.

    Raises:
        UnavailableError: strict, and a detector has not this device, or lacks a package or a library of the system.
        ModelStoreError: strict, and a file could not be fetched.
    """
    wanted: list[str] = []
    for spec in specs:
        absent = spec.unfetched()
        unfit = spec.unfit(device) if absent else None
        if unfit is None:
            wanted += absent
        elif strict:
            raise unfit
    fetch_missing(wanted, console, strict)


def fetch_missing(models: list[str], console: Console, strict: bool = False) -> None:
    """Fetch those of these model files that are not here."""
    from ..detectors.models import store as model_store

    for name in dict.fromkeys(models):
        if model_store.locate(name) is not None:
            continue
        try:
            fetch_model(name, console)
        except ModelStoreError as error:
            if strict:
                raise
            console.print(f"{name}: {error}", style="yellow", soft_wrap=True)


def fetch_model(name: str, console: Console) -> Path:
    """Fetch one model file here, with a progress bar; return where it lies."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from ..detectors.models import store as model_store

    bars = (
        TextColumn("fetching {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*bars, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        return model_store.fetch(
            name, progress=lambda done, total: progress.update(task, completed=done, total=total or None)
        )


def any_failed(cells: Iterable[StoredCell], named: Iterable[str]) -> bool:
    """Whether a detector failed, its results are damaged, or one that the user named is unavailable.

    Args:
        cells: of the run.
        named: keys of the cells that the user named; those that are measured because none was named may be unavailable.
    """
    keys = set(named)
    return any(
        cell.status in ("failed", "damaged") or (cell.status == "unavailable" and cell.key in keys) for cell in cells
    )


def print_summary(summary: Summary, as_json: bool) -> None:
    """Print the table of a run, or its JSON."""
    from rich.table import Table

    from ..reports.values.batches import BATCH_COLUMNS, batch_lines
    from ..reports.values.table import (
        basis,
        columns,
        floor_sentence,
        latency_scope,
        parts,
        remarks,
        standing,
        to_json,
    )

    if as_json:
        typer.echo(json_text(to_json(summary), indent=2))
        return
    console = stdout()
    done = [row for row in summary.rows if row.done]
    console.print(visible(summary.scope))
    for chosen in parts(columns(summary), done, console.width):
        table = Table()
        for column in chosen:
            table.add_column(column.title, justify="left" if column.number is None else "right", overflow="fold")
        for row in done:
            table.add_row(*(column.text(row) for column in chosen))
        console.print(table)
    if lines := batch_lines(summary):
        batches = Table(title="In batches", title_justify="left")
        for title in BATCH_COLUMNS:
            batches.add_column(title, justify="left" if title in ("detector", "remarks") else "right", overflow="fold")
        for line in lines:
            batches.add_row(*line)
        console.print(batches)
    for row in summary.rows:
        if not row.done:
            say(f"{row.cell.spec}: {remarks(row)}")
    say(*filter(None, (standing(summary), basis(summary), floor_sentence(summary))))
    say(*(f"note: {note}" for note in summary.run.document.dataset.notes))
    say(
        "AP is exact (every distinct score a threshold) at IoU 0.5; p50 is one detect call. "
        f"In brackets: 95 % intervals for other {summary.resampled.unit} of the kind. "
        f"{latency_scope(summary.rows)}"
    )


def read_detectors(
    given: list[str] | None, *, device: Device | None, sizes: Sequence[str], threads: Sequence[int]
) -> tuple[list[DetectorSpec], list[Setting]]:
    """Read --detectors: specs to be run as the other options say, and the picked default in its own setting.

    Args:
        given: comma-separated specs, "default" among them perhaps; nothing: all built-in detectors.
        device: that was asked for; None: the default's as picked.
        sizes: likewise; none: as picked; of several, each makes a setting.
        threads: likewise.

    Raises:
        UsageError: an unknown detector or parameter, or a value that is out of range.
        ResultsError: the file of the default cannot be read.
    """
    from dataclasses import replace
    from itertools import product

    from .. import detectors as registry
    from ..benchmarks.choose.default import default_setting

    named = [spec for text in given or [] for spec in registry.split_list(text)]
    others = [spec for spec in named if spec != "default"]
    settings = []
    if "default" in named:
        picked = default_setting()
        settings = [
            replace(picked, device=device or picked.device, size=size, threads=count)
            for size, count in product(sizes or [picked.size], threads or [picked.threads])
        ]
    return registry.resolve_all(others or ([] if named else registry.default_specs())), settings


def read_setting(text: str, device: Device | None) -> Setting:
    """Return the setting that a detector is used in, see `build_fetched`."""
    from dataclasses import replace

    from ..benchmarks.choose.default import default_setting
    from ..detectors import Setting

    picked = default_setting() if text == "default" else Setting(text)
    return replace(picked, device=device or picked.device)


def build_fetched(text: str, device: Device | None) -> Detector:
    """Fetch what a detector needs and build it, "default" in the setting that was picked.

    Args:
        text: a spec, or "default".
        device: None: as picked, and the CPU for a detector that is named.
    """
    setting = read_setting(text, device)
    fetch_models([setting.resolve()], stderr(), strict=True, device=setting.device)
    return setting.build()


def load_classifier(name: str, title: str | None = None) -> EmotionClassifier:
    """Return a classifier by name or file, under its own name or another; what the baseline needs is fetched."""
    from ..emotions.pipeline.classifier import CLASSIFIERS, EmotionClassifier, create_classifier
    from ..emotions.pipeline.keras_mini_xception import MODEL_NAME

    if name not in CLASSIFIERS and name.endswith(".onnx"):
        return EmotionClassifier(Path(name), name=title or Path(name).stem)
    if name == "mini-xception":
        fetch_missing([MODEL_NAME], stderr(), strict=True)
    return create_classifier(name)
