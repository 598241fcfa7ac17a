"""The verb `stress`: detectors on degraded images."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .console import (
    ByEvent,
    Data,
    Device,
    Json,
    any_failed,
    fetch_models,
    json_text,
    read_detectors,
    say,
    stderr,
    stdout,
)

if TYPE_CHECKING:
    from ..benchmarks.stress.scores import StressScores


def stress_command(
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            help="Comma-separated, such as haar,yunet; default is the picked one, in the setting that was picked "
            "unless --size or --device say otherwise; else all built-in ones."
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(help="Data set, such as scenes or wider-face:val, as it is.")] = "scenes",
    data: Data = None,
    out: Annotated[Path, typer.Option(help="Results folder; what is there is not run again.")] = Path("runs/stress"),
    kinds: Annotated[
        str, typer.Option(help="Among blur, darkness, noise, jpeg, rotation, scale and occlusion; else all of them.")
    ] = "",
    severities: Annotated[str, typer.Option(help="Among 1 to 5.")] = "1,2,3,4,5",
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn at random in the degradations.")] = 0,
    device: Annotated[Device | None, typer.Option(help="cpu (the default) or cuda.")] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="original (the default), long=640, square=640, short=1600,max=2150, tiles:640, or original+long=320."
        ),
    ] = None,
    executor: Annotated[
        str, typer.Option(help="Who does the work: local, local:4 for so many processes, or ray; no time is taken.")
    ] = "local",
    image_timeout: Annotated[
        float, typer.Option("--image-timeout", "--picture-timeout", help="Seconds a detector may take for an image.")
    ] = 120.0,
    memory_limit: Annotated[float, typer.Option(help="Resident memory a detector may hold, MB.")] = 6144.0,
    by_event: ByEvent = False,
    as_json: Json = False,
) -> None:
    """Run detectors on degraded images, rank them by what they keep of their AP; resume what is there."""
    from .. import datasets
    from ..benchmarks.analysis.table import Resampling
    from ..benchmarks.measure.detector_process import Limits
    from ..benchmarks.measure.executors import create_executor
    from ..benchmarks.measure.plan import Plan
    from ..benchmarks.measure.progress import RichObserver
    from ..benchmarks.store.records import Protocol
    from ..benchmarks.stress.run import all_degradations, run_stress
    from ..benchmarks.stress.scores import score_stress
    from ..datasets.degraded.degradations import KINDS
    from ..datasets.query import shown_name
    from ..reports.sections.stress import to_json

    wanted = all_degradations(_parts(kinds) or list(KINDS), _severities(severities))
    specs, settings = read_detectors(detectors, device=device, sizes=[size] if size else [], threads=[])
    limits = Limits(image_s=image_timeout, memory_mb=memory_limit)
    console = stderr()
    images = datasets.load(dataset, root=data)
    say(f"{shown_name(images.name)}: {images.coverage}. {images.description}", err=True)
    fetch_models(specs, console, device=device or "cpu")
    for setting in settings:
        fetch_models([setting.resolve()], console, device=setting.device)
    with closing(create_executor(executor)) as workers:
        plan = Plan(
            images,
            specs,
            [Protocol(size or "original")],
            device or "cpu",
            limits=limits,
            rounds=0,
            executor=workers,
            settings=settings,
        )
        try:
            with RichObserver(console, len(plan.cells()) * (1 + len(wanted))) as observer:
                folder = run_stress(plan, out, wanted, seed=seed, observer=observer)
        except KeyboardInterrupt:
            say(f"facebench: interrupted; the same command goes on where it stopped ({out})", err=True)
            raise SystemExit(130) from None
    scores = score_stress(folder, Resampling(by_event=by_event))
    assert scores is not None, "its index was written by the run"
    if as_json:
        typer.echo(json_text(to_json(scores), indent=2))
    else:
        _print(scores, images.coverage)
    if any(row.missing for row in scores.rows) or any_failed(
        folder.cells, [cell.key for _, cell in plan.cells()] if detectors else []
    ):
        raise typer.Exit(1)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _severities(text: str) -> list[int]:
    parts = _parts(text)
    if not parts or not all(part.isascii() and part.isdecimal() for part in parts):
        raise UsageError(f"--severities {text}: expected whole numbers from 1 to 5, separated by commas")
    return [int(part) for part in parts]


def _print(scores: StressScores, coverage: str) -> None:
    from rich.table import Table

    from ..reports.sections.stress import WHAT_IT_IS_NOT, answer, ranking

    console = stdout()
    head, rows = ranking(scores)
    table = Table()
    for place, title in enumerate(head):
        table.add_column(title, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(row.label, *(f"{number}\n{ends}" if ends else number for number, ends in row.cells))
    console.print(f"{coverage}, {scores.images:,} scored under every degradation")
    console.print(table)
    say(*answer(scores), WHAT_IT_IS_NOT)
