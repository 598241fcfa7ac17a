"""The `facebench` command: thin, one function a verb.

Exit codes: 0 done, 1 a check failed (a detector of the run failed, or breaks the contract), 2 wrong use or an error,
130 interrupted. Tables and JSON go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .errors import FacebenchError, ModelStoreError

if TYPE_CHECKING:
    from rich.console import Console

    from .benchmarks.summary import Summary
    from .detectors import Detector, DetectorSpec

app = typer.Typer(
    help="Benchmark face detectors: accuracy and latency, measured honestly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
detectors_app = typer.Typer(help="What can be measured.", no_args_is_help=True)
models_app = typer.Typer(help="The model files that detectors load.", no_args_is_help=True)
data_app = typer.Typer(help="The pictures to measure on.", no_args_is_help=True)
app.add_typer(detectors_app, name="detectors")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")

Device = Literal["cpu", "cuda"]
PredictionsFormat = Literal["wider", "coco", "jsonl"]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
ByEvent = Annotated[bool, typer.Option("--by-event", help="Intervals over events instead of pictures: wider.")]
Seed = Annotated[int, typer.Option(help="Of the resamples behind the intervals.")]
RunPath = Annotated[Path, typer.Argument(help="A results folder, as `facebench run --out` wrote it.")]


def main() -> None:
    """Run the command; turn facebench's own errors into one line and an exit code."""
    # detectors named module:Class may lie in the working folder; last, so that nothing there hides a library
    sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        app()
    except FacebenchError as error:
        mend = getattr(error, "mend", "")
        typer.echo(f"facebench: {error}" + (f"\nTo mend: {mend}" if mend else ""), err=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        typer.echo("facebench: interrupted", err=True)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # the reader of our output has gone (`facebench … | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        from . import __version__

        typer.echo(f"facebench {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("run")
def run_command(
    detectors: Annotated[
        list[str] | None,
        typer.Option(help="Detectors, comma-separated, such as haar,ssd:confidence=0.4; by default all built-in ones."),
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="Data set, such as scenes or wider-face:val?sample=100&seed=1.")
    ] = "scenes",
    data: Annotated[Path | None, typer.Option(help="Folder of the data set; else FACEBENCH_DATA.")] = None,
    out: Annotated[Path, typer.Option(help="Results folder; what is there is not measured again.")] = Path(
        "runs/latest"
    ),
    device: Annotated[Device, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads of each detector.")] = 1,
    size: Annotated[str, typer.Option(help="original, long=640 or short=1600,max=2150.")] = "original",
    score_floor: Annotated[
        float | None, typer.Option(help="Keep probabilities down to this; else each detector's own floor.")
    ] = None,
    picture_timeout: Annotated[float, typer.Option(help="Seconds a detector may take for a picture.")] = 120.0,
    memory_limit: Annotated[float, typer.Option(help="Resident memory a detector may hold, MB.")] = 6144.0,
    as_json: Json = False,
) -> None:
    """Measure detectors on a data set, print the table; resume what is there."""
    from . import datasets
    from . import detectors as registry
    from .benchmarks.cell import Protocol
    from .benchmarks.plan import Plan
    from .benchmarks.progress import RichObserver
    from .benchmarks.runner import run
    from .benchmarks.summary import summarise_run
    from .benchmarks.supervisor import Limits

    given = [spec for text in detectors or [] for spec in registry.split_list(text)]
    specs = registry.resolve_all(given or registry.default_specs())
    protocol = Protocol(size, score_floor)
    limits = Limits(picture_s=picture_timeout, memory_mb=memory_limit)
    console = _stderr()
    pictures = datasets.load(dataset, root=data)
    console.print(f"{pictures.name}: {pictures.coverage}. {pictures.description}", soft_wrap=True, highlight=False)
    _fetch_models(specs, console)
    plan = Plan(pictures, specs, protocol, device, threads, limits)
    try:
        with RichObserver(console, [str(spec) for spec in specs]) as observer:
            folder = run(plan, out, observer)
    except KeyboardInterrupt:
        typer.echo(f"facebench: interrupted; the same command goes on where it stopped ({out})", err=True)
        raise SystemExit(130) from None
    summary = summarise_run(folder)
    _print_summary(summary, as_json)
    if any(row.cell["status"] == "failed" for row in summary.rows):
        raise typer.Exit(1)


@app.command("score")
def score_command(
    predictions: Annotated[
        Path, typer.Argument(help="WIDER FACE text tree (folder or zip), COCO results (.json) or JSONL.")
    ],
    dataset: Annotated[
        str, typer.Option(help="Data set they are for, such as wider-face:val; ?pictures=there for those on disk.")
    ],
    data: Annotated[Path | None, typer.Option(help="Folder of the data set; else FACEBENCH_DATA.")] = None,
    file_format: Annotated[
        PredictionsFormat | None, typer.Option("--format", help="How they are written; else seen from the content.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="COCO file with images, where image_id of the results is a number.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Accept and count missing pictures and pictures too much.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(help="Score of the operating point; else 0.5 for probabilities, every box for others."),
    ] = None,
    score_kind: Annotated[
        Literal["probability", "margin"] | None, typer.Option(help="What the scores are; else seen from their range.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Keep it as a results folder, for report and compare.")] = None,
    as_json: Json = False,
) -> None:
    """Score detections that any program wrote, on the annotation alone; refuse what is faulty, with all faults."""
    from tempfile import TemporaryDirectory

    from . import datasets
    from .benchmarks.predictions import read_predictions
    from .benchmarks.predictions_run import store_predictions
    from .benchmarks.summary import summarise_run

    pictures = datasets.load(dataset, root=data, annotation_only=True)
    found = read_predictions(predictions, pictures, format=file_format, images=images, allow_missing=allow_missing)
    with TemporaryDirectory() as scratch:
        folder = store_predictions(
            found, pictures, out or Path(scratch) / "run", threshold=threshold, score_kind=score_kind
        )
        _print_summary(summarise_run(folder), as_json)


@app.command("export")
def export_command(
    run: RunPath,
    file_format: Annotated[
        PredictionsFormat, typer.Option("--format", help="wider: text tree; coco: results and ground truth; jsonl.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder or .zip (wider), a file (coco, jsonl).")],
    cell: Annotated[
        str | None, typer.Option(help="Detector, or key, of the cell; needed where the run has several.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier export wrote.")] = False,
) -> None:
    """Write the detections of a run in a format that other programs read."""
    from .benchmarks.export import export, find_cell
    from .benchmarks.results import RunFolder

    folder = RunFolder.open(run)
    for path in export(folder, find_cell(folder, cell), output, file_format, force=force):
        typer.echo(f"wrote {path}")


@app.command("report")
def report_command(
    run: RunPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file.")] = Path("report.html"),
    by_event: ByEvent = False,
    seed: Seed = 0,
) -> None:
    """Write one self-contained HTML file that compares the detectors of a run."""
    from .benchmarks.summary import Resampling, load_summary
    from .reports.html import write_report

    write_report(load_summary(run, Resampling(seed, by_event)), output)
    typer.echo(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)")


@app.command("table")
def table_command(
    run: RunPath,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
    by_event: ByEvent = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Print the table of a run again."""
    from .benchmarks.summary import Resampling, load_summary
    from .reports.markdown import markdown_table

    summary = load_summary(run, Resampling(seed, by_event))
    if markdown:
        typer.echo(markdown_table(summary), nl=False)
    else:
        _print_summary(summary, as_json)


@app.command("pick")
def pick_command(
    run: RunPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the choice.")] = Path(
        "default_detector.json"
    ),
    metric: Annotated[
        str | None, typer.Option(help="ap_easy, ap_medium, ap_hard or ap_overall; else the hardest.")
    ] = None,
    max_p90_ms: Annotated[float | None, typer.Option(help="Leave out slower detectors.")] = None,
    tie: Annotated[float, typer.Option(help="AP below the best that still counts as equal.")] = 0.01,
    device: Annotated[Device, typer.Option(help="cpu or cuda.")] = "cpu",
    demo: Annotated[bool, typer.Option("--demo", help="Accept a demonstration data set.")] = False,
    as_json: Json = False,
) -> None:
    """Choose the default detector by a declared rule, with reasons."""
    from .benchmarks.ranking import Rule, pick, write_pick
    from .benchmarks.summary import load_summary

    choice = pick(load_summary(run), Rule(metric, tie, max_p90_ms, device), demo=demo)
    write_pick(choice, output)
    if as_json:
        typer.echo(json.dumps(choice, indent=2))
        return
    typer.echo(f"{choice['detector']}: {choice['rule']['text']}")
    for reason in choice["reasons"]:
        typer.echo(f"  - {reason}")
    if choice["runner_up"]:
        typer.echo(f"  - runner-up: {choice['runner_up']['detector']}")
    typer.echo(f"  - measured on {choice['measured_on']}")
    typer.echo(f"wrote {output}")


@app.command("detect")
def detect_command(
    pictures: Annotated[list[Path], typer.Argument(help="Picture files.")],
    detector: Annotated[str, typer.Option(help="A detector, or default: the picked one.")] = "default",
    device: Annotated[Device, typer.Option(help="cpu or cuda; for a named detector.")] = "cpu",
    overlay: Annotated[Path | None, typer.Option(help="Folder for copies of the pictures with boxes drawn in.")] = None,
) -> None:
    """Find the faces in pictures: one JSON line a picture, and pictures with boxes."""
    from .benchmarks.ranking import default_file, load_default, read_pick
    from .datasets import decode
    from .detectors import resolve
    from .reports.gallery import write_overlay

    if detector == "default":
        _fetch_models([resolve(read_pick(default_file())["detector"])], _stderr(), strict=True)
        found = load_default()
    else:
        found = _create_fetched(detector, device)
    failed = False
    for path in pictures:
        decoded = decode(path)
        line: dict[str, Any] = {"picture": str(path), "detector": found.info.name}
        if decoded.image is None:
            failed = True
            typer.echo(json.dumps(line | {"error": f"{decoded.verdict}: {decoded.detail}"}))
            continue
        result = found.detect(decoded.image)
        faces: list[dict[str, Any]] = [
            {"box": [round(float(value), 2) for value in box], "score": round(float(score), 4)}
            for box, score in zip(result.boxes, result.scores, strict=True)
        ]
        for index, points in enumerate(result.landmarks if result.landmarks is not None else ()):
            faces[index]["landmarks"] = [[round(float(value), 2) for value in point] for point in points]
        if overlay is not None:
            line["overlay"] = str(write_overlay(decoded.image, result.boxes, overlay / f"{path.stem}.faces.jpg"))
        typer.echo(json.dumps(line | {"faces": faces}))
    found.close()
    if failed:
        raise typer.Exit(1)


def _create_fetched(text: str, device: Device) -> Detector:
    from .detectors import create, resolve

    spec = resolve(text)
    _fetch_models([spec], _stderr(), strict=True)
    return create(spec, device=device)


@detectors_app.command("list")
def detectors_list(as_json: Json = False) -> None:
    """List the detectors, and what is missing to run those that cannot."""
    from rich.table import Table

    from .detectors import default_specs, names, resolve

    specs = [resolve(name) for name in dict.fromkeys([*default_specs(), *names()])]
    rows: list[dict[str, Any]] = []
    for spec in specs:
        missing, info = spec.missing(), spec.adapter.info
        rows.append(
            {
                "detector": str(spec),
                "family": info.family,
                "package": info.package,
                "licence": info.licence,
                "devices": list(info.devices),
                "scores": info.score_kind,
                "trained_on": list(info.trained_on),
                "parameters": {name: str(value) for name, value in spec.parameters.items()},
                "state": "available" if missing is None else f"unavailable: {missing}",
                "mend": missing.mend if missing else "",
                "note": info.note,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("detector", "family", "package", "scores", "parameters", "state")
    for row in rows:
        parameters = ", ".join(f"{name}={value}" for name, value in row["parameters"].items())
        state = row["state"] + (f". To mend: {row['mend']}" if row["mend"] else "")
        table.add_row(row["detector"], row["family"], row["package"], row["scores"], parameters, state)
    _stdout().print(table)


@detectors_app.command("check")
def detectors_check(
    spec: Annotated[str, typer.Argument(help="A detector, ours or your own package.module:Class.")],
    device: Annotated[Device, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Check that a detector keeps the contract."""
    from .detectors import check_detector, resolve

    resolved = resolve(spec)
    _fetch_models([resolved], _stderr(), strict=True)
    findings = check_detector(resolved, device=device, threads=threads)
    if as_json:
        typer.echo(
            json.dumps([{"check": item.check, "ok": item.ok, "detail": item.detail} for item in findings], indent=2)
        )
    else:
        for item in findings:
            typer.echo(f"{'ok  ' if item.ok else 'FAIL'}  {item.check}: {item.detail}")
    if not all(item.ok for item in findings):
        raise typer.Exit(1)


@models_app.command("list")
def models_list(as_json: Json = False) -> None:
    """List the model files and whether they are on this machine."""
    from rich.table import Table

    from .detectors import model_store

    rows: list[dict[str, Any]] = [
        {
            "model": item.file.name,
            "file": item.file.file_name,
            "bytes": item.file.bytes,
            "sha256": item.file.sha256,
            "licence": item.file.licence,
            "trained_on": list(item.file.trained_on),
            "state": item.state,
            "path": str(item.path or ""),
        }
        for item in model_store.status()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("model", "file", "MB", "licence", "trained on", "state")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}"
        table.add_row(row["model"], row["file"], size, row["licence"], ", ".join(row["trained_on"]), row["state"])
    _stdout().print(table)


@models_app.command("fetch")
def models_fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models; by default all that built-in detectors need.")
    ] = None,
) -> None:
    """Bring model files to this machine, verified."""
    from .detectors import default_specs, model_store, resolve

    wanted = names or list(dict.fromkeys(model for text in default_specs() for model in resolve(text).models()))
    for name in wanted:
        model_store.model_file(name)
    console = _stderr()
    failed = []
    for name in wanted:
        try:
            typer.echo(f"{name}: {_fetch_model(name, console)}")
        except ModelStoreError as error:
            failed.append(name)
            typer.echo(f"facebench: {name}: {error}", err=True)
    if failed:
        raise SystemExit(2)


@data_app.command("list")
def data_list(as_json: Json = False) -> None:
    """List the data sets."""
    from .datasets import known

    rows = known()
    if as_json:
        typer.echo(json.dumps([{"dataset": name, "description": text} for name, text in rows], indent=2))
        return
    for name, text in rows:
        typer.echo(f"{name}: {text}")


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _stdout() -> Console:
    """Return a console that does not cut a table that goes to a file."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=240)


def _fetch_models(specs: list[DetectorSpec], console: Console, strict: bool = False) -> None:
    """Bring what the detectors need; what cannot be brought makes its detector unavailable, not the command fail."""
    from .detectors import model_store

    for name in dict.fromkeys(name for spec in specs for name in spec.models()):
        if model_store.locate(name) is not None:
            continue
        try:
            _fetch_model(name, console)
        except ModelStoreError as error:
            if strict:
                raise
            console.print(f"{name}: {error}", style="yellow", soft_wrap=True, highlight=False, markup=False)


def _fetch_model(name: str, console: Console) -> Path:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from .detectors import model_store

    bars = (TextColumn("fetching {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*bars, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        return model_store.fetch(
            name, progress=lambda done, total: progress.update(task, completed=done, total=total or None)
        )


def _print_summary(summary: Summary, as_json: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from .reports.table import columns, remarks, standing, to_json

    if as_json:
        typer.echo(json.dumps(to_json(summary), indent=2))
        return
    chosen = columns(summary)
    table = Table(title=escape(summary.scope), title_justify="left")
    for column in chosen:
        table.add_column(column.title, justify="left" if column.number is None else "right", overflow="fold")
    for row in summary.rows:
        if row.done:
            table.add_row(*(escape(column.text(row)) for column in chosen))
    _stdout().print(table)
    for row in summary.rows:
        if not row.done:
            typer.echo(f"{row.cell['spec']}: {remarks(row)}")
    if standing(summary):
        typer.echo(standing(summary))
    for note in summary.run.document["dataset"]["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(
        "AP is exact (every distinct score a threshold) at IoU 0.5, with its 95 % interval; p50 is one detect call."
    )


if __name__ == "__main__":
    main()
