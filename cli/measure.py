"""Verbs that make results: run, score, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import UsageError
from .console import (
    BoxFormat,
    Data,
    Device,
    Json,
    MaxMegapixels,
    PredictionsFormat,
    RunPath,
    WrittenFormat,
    any_failed,
    fetch_models,
    print_summary,
    read_detectors,
    say,
    stderr,
    with_box_format,
)


def run_command(
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            help="Comma-separated, such as haar,ssd:confidence=0.4; default is the picked one, in the setting that was "
            "picked unless --size, --threads or --device say otherwise; else all built-in ones."
        ),
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="Data set, such as scenes or wider-face:val?sample=100&seed=1, or a folder of your own.")
    ] = "scenes",
    data: Data = None,
    box_format: BoxFormat = None,
    out: Annotated[Path, typer.Option(help="Results folder; what is there is not measured again.")] = Path(
        "runs/latest"
    ),
    device: Annotated[Device | None, typer.Option(help="cpu (the default) or cuda.")] = None,
    threads: Annotated[
        str | None, typer.Option(help="CPU threads of each detector, 1 by default; 1,2 measures both.")
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(
            help="original (the default), long=640, square=640, short=1600,max=2150, "
            "tiles:640,overlap=.2 or several at once, "
            "original+long=320; may be repeated."
        ),
    ] = None,
    sizes: Annotated[
        str, typer.Option(help="Longer sides to sweep, such as 320,640,1024: each a row, with its own AP and latency.")
    ] = "",
    rounds: Annotated[
        int | None,
        typer.Option(
            help="How often each image is timed, each round in a fresh process; 2 or more for a gate. Default: 1, "
            "with an executor 0."
        ),
    ] = None,
    batch: Annotated[
        str,
        typer.Option(
            help="Images a batch, such as 1,4,16,64: images/s of each size beside batches of one; images of one size "
            "together."
        ),
    ] = "",
    executor: Annotated[
        str | None,
        typer.Option(
            help="Collect the detections by workers side by side, before anything is timed: local:N processes here, "
            "or ray[:workers=N,cpus=C,gpus=G,address=A] actors of a cluster."
        ),
    ] = None,
    score_floor: Annotated[
        float | None, typer.Option(help="Keep probabilities down to this; else each detector's own floor.")
    ] = None,
    image_timeout: Annotated[
        float, typer.Option("--image-timeout", "--picture-timeout", help="Seconds a detector may take for an image.")
    ] = 120.0,
    memory_limit: Annotated[float, typer.Option(help="Resident memory a detector may hold, MB.")] = 6144.0,
    max_megapixels: MaxMegapixels = 100,
    as_json: Json = False,
) -> None:
    """Measure detectors on a data set, print the table; resume what is there."""
    from .. import datasets
    from ..benchmarks.analysis.other_reading import note_on_annotation
    from ..benchmarks.analysis.table import summarise_run
    from ..benchmarks.measure.detector_process import Limits
    from ..benchmarks.measure.executors import create_executor
    from ..benchmarks.measure.plan import Plan
    from ..benchmarks.measure.progress import RichObserver
    from ..benchmarks.measure.runner import run
    from ..benchmarks.store.records import Protocol
    from ..datasets.box_format import BoxFormat as Reading
    from ..datasets.query import shown_name

    given_sizes = list(dict.fromkeys([*(size or []), *(f"long={side}" for side in _whole_numbers("--sizes", sizes))]))
    protocols = [Protocol(one, score_floor) for one in given_sizes or ["original"]]
    counts = list(dict.fromkeys(_whole_numbers("--threads", threads or "")))
    specs, settings = read_detectors(detectors, device=device, sizes=given_sizes, threads=counts)
    limits = Limits(image_s=image_timeout, memory_mb=memory_limit)
    workers = create_executor(executor) if executor else None
    console = stderr()
    images = datasets.load(with_box_format(dataset, box_format), root=data)
    say(f"{shown_name(images.name)}: {images.coverage}. {images.description}", err=True)
    fetch_models(specs, console, device=device or "cpu")
    for setting in settings:
        fetch_models([setting.resolve()], console, device=setting.device)
    timed = rounds if rounds is not None else int(workers is None)
    plan = Plan(
        images,
        specs,
        protocols,
        device or "cpu",
        counts or [1],
        limits,
        timed,
        workers,
        settings,
        round(max_megapixels * 1e6),
        _whole_numbers("--batch", batch),
    )
    passes = int(timed > 0) + int(workers is not None) + bool(plan.batches)
    try:
        with RichObserver(console, passes * len(plan.cells())) as observer:
            folder = run(plan, out, observer)
    except KeyboardInterrupt:
        say(f"facebench: interrupted; the same command goes on where it stopped ({out})", err=True)
        raise SystemExit(130) from None
    if not timed:
        console.print(
            f"Detections by {executor}, beside other work: nothing was timed. With --rounds 1, each detector is timed "
            "alone once its detections are there.",
            soft_wrap=True,
        )
    summary = summarise_run(folder)
    if images.box_format:
        note_on_annotation(summary, Reading.parse(images.box_format))
    print_summary(summary, as_json)
    if any_failed(folder.cells, [cell.key for _, cell in plan.cells()] if detectors else []):
        raise typer.Exit(1)


def _whole_numbers(option: str, text: str) -> list[int]:
    """Read a comma-separated list of numbers above zero."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"{option} {text}: expected whole numbers above 0, separated by commas")
    return [int(part) for part in parts]


def score_command(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="WIDER FACE text tree (folder or zip), COCO results (.json), JSONL, or the labels of YOLO's save_txt."
        ),
    ],
    dataset: Annotated[
        str,
        typer.Option(help="Data set or folder they are for, such as wider-face:val?pictures=there (those on disk)."),
    ],
    data: Data = None,
    file_format: Annotated[
        PredictionsFormat | None, typer.Option("--format", help="How they are written; else seen from the content.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="COCO file with images, where image_id of the results is a number.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Accept and count missing images and images too much.")
    ] = False,
    box_format: BoxFormat = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Score of the operating point; else 0.5 for probabilities, every box for others."),
    ] = None,
    score_kind: Annotated[
        Literal["probability", "margin"] | None, typer.Option(help="What the scores are; else seen from their range.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Keep it as a results folder, for report and compare.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the row; else that of the file.")] = None,
    as_json: Json = False,
) -> None:
    """Score detections that any program wrote, on the annotation alone; refuse what is faulty, with all faults."""
    from tempfile import TemporaryDirectory

    from .. import datasets
    from ..benchmarks.analysis.table import summarise_run
    from ..benchmarks.exchange.as_run import store_predictions
    from ..benchmarks.exchange.predictions import read_predictions
    from ..datasets.box_format import BoxFormat as Reading

    as_read = Reading.parse(box_format) if box_format else None
    loaded = datasets.load(dataset, root=data, annotation_only=True)
    found = read_predictions(
        predictions, loaded, format=file_format, images=images, allow_missing=allow_missing, box_format=as_read
    )
    with TemporaryDirectory() as scratch:
        folder = store_predictions(
            found, loaded, out or Path(scratch) / "run", name=name, threshold=threshold, score_kind=score_kind
        )
        print_summary(summarise_run(folder), as_json)


def export_command(
    run: RunPath,
    file_format: Annotated[
        WrittenFormat, typer.Option("--format", help="wider: text tree; coco: results and ground truth; jsonl.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder or .zip (wider), a file (coco, jsonl).")],
    cell: Annotated[
        str | None, typer.Option(help="Detector, or key, of the cell; needed where the run has several.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier export wrote.")] = False,
) -> None:
    """Write the detections of a run in a format that other programs read."""
    from ..benchmarks.exchange.export import export, find_cell
    from ..benchmarks.store.run_folder import RunFolder

    folder = RunFolder.open(run)
    for path in export(folder, find_cell(folder, cell), output, file_format, force=force):
        say(f"wrote {path}")
