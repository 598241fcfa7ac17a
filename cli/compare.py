"""Verbs that set two versions against each other: compare, gate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ..errors import UsageError
from ..safe_text import visible
from .console import ByEvent, Data, Device, Json, Seed, fetch_models, json_text, stderr, stdout

if TYPE_CHECKING:
    from ..benchmarks.analysis.table import Resampling
    from ..benchmarks.compare.gate import GateResult
    from ..benchmarks.compare.runs import Comparison

SidePython = Annotated[
    Path | None, typer.Option(help="Python of another environment with facebench; with --interleave.")
]


@dataclass(frozen=True)
class Options:
    """What both verbs are given."""

    base: Annotated[str, typer.Argument(help="Results folder of the base; with --interleave a detector.")]
    head: Annotated[str, typer.Argument(help="Results folder of the head; with --interleave a detector.")]
    pair: Annotated[
        list[str] | None,
        typer.Option(
            "--pair", help="BASE=HEAD, detectors that belong together; may be repeated. Others find each other."
        ),
    ] = None
    metric: Annotated[
        str | None, typer.Option(help="What decides: ap_easy, ap_medium, ap_hard or ap_overall; else the hardest.")
    ] = None
    by_event: ByEvent = False
    seed: Seed = 0
    interleave: Annotated[
        bool,
        typer.Option("--interleave", help="Measure two detectors now, turn by turn: the most precise for latency."),
    ] = False
    dataset: Annotated[str | None, typer.Option(help="Data set to measure on; with --interleave.")] = None
    data: Data = None
    rounds: Annotated[
        int | None, typer.Option(help="Fresh processes of each side; with --interleave, 5 by default.")
    ] = None
    device: Annotated[Device | None, typer.Option(help="cpu or cuda; with --interleave.")] = None
    threads: Annotated[int | None, typer.Option(help="CPU threads of each process; with --interleave.")] = None
    size: Annotated[
        str | None,
        typer.Option(help="original, long=640, square=640, short=1600,max=2150 or tiles:640; with --interleave."),
    ] = None
    base_python: SidePython = None
    head_python: SidePython = None

    @property
    def of_measuring(self) -> list[str]:
        """Options that were given and mean something with --interleave alone."""
        names = ("dataset", "data", "rounds", "device", "threads", "size", "base_python", "head_python")
        return [f"--{name.replace('_', '-')}" for name in names if getattr(self, name) is not None]

    def compare(self) -> Comparison:
        """Compare two results folders, or measure two detectors."""
        from ..benchmarks.compare.pairing import parse_pair
        from ..benchmarks.compare.runs import compare_runs
        from ..benchmarks.store.run_folder import RunFolder

        if self.interleave:
            if self.pair:
                raise UsageError(
                    "--pair names cells of two results folders; with --interleave BASE and HEAD are the pair"
                )
            return self._measure()
        if self.of_measuring:
            options = ", ".join(self.of_measuring)
            raise UsageError(f"{options}: only with --interleave, which measures; results folders are measured already")
        left, right = RunFolder.open(Path(self.base)), RunFolder.open(Path(self.head))
        wanted = [parse_pair(text, left.cells, right.cells) for text in self.pair or []]
        return compare_runs(left, right, resampling=self._resampling, pairs=wanted, metric=self.metric)

    @property
    def _resampling(self) -> Resampling:
        from ..benchmarks.analysis.table import Resampling

        return Resampling(self.seed, self.by_event)

    def _measure(self) -> Comparison:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from .. import datasets
        from ..benchmarks.compare.interleaved import ROUNDS, compare_sides
        from ..benchmarks.measure.interleave import Side
        from ..benchmarks.store.records import Protocol
        from ..detectors import resolve

        console, device = stderr(), self.device or "cpu"
        left, right = Side(self.base, self.base_python), Side(self.head, self.head_python)
        ours = [resolve(side.spec) for side in (left, right) if side.python is None]
        fetch_models(ours, console, strict=True, device=device)
        images = datasets.load(self.dataset or "scenes", root=self.data)
        bars = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*bars, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("base, head and base again", total=None)

            class Bar:
                def image_done(self, done: int, total: int) -> None:
                    progress.update(task, completed=done, total=total)

            return compare_sides(
                left,
                right,
                images,
                rounds=ROUNDS if self.rounds is None else self.rounds,
                protocol=Protocol("original" if self.size is None else self.size),
                device=device,
                threads=1 if self.threads is None else self.threads,
                resampling=self._resampling,
                metric=self.metric,
                observer=Bar(),
            )


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let typer see the fields of `Options` as parameters of a command, whose first one takes them together."""
    shared = inspect.signature(Options).parameters
    _, *own = inspect.signature(command).parameters.values()
    hints = get_type_hints(Options, include_extras=True) | get_type_hints(command, include_extras=True)

    def called(**given: Any) -> None:
        command(Options(**{name: given.pop(name) for name in shared}), **given)

    parameters = [one.replace(annotation=hints[one.name], kind=one.KEYWORD_ONLY) for one in (*shared.values(), *own)]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    called.__doc__ = command.__doc__
    return called


@_with_options
def compare_command(
    options: Options,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown.")] = False,
    as_json: Json = False,
) -> None:
    """Say what changed from BASE to HEAD: detections, accuracy and latency, each difference with its interval."""
    from ..reports.text.json import comparison_json
    from ..reports.text.markdown import comparison_markdown

    comparison = options.compare()
    if as_json:
        typer.echo(json_text(comparison_json(comparison), indent=2))
    elif markdown:
        typer.echo(comparison_markdown(comparison), nl=False)
    else:
        _print(comparison, None)


@_with_options
def gate_command(
    options: Options,
    limits: Annotated[Path | None, typer.Option(help="TOML file of limits; see docs/ci.md.")] = None,
    max_slowdown: Annotated[
        float | None, typer.Option(help="As a fraction, 0.05 by default: 1.05 times the time of the base.")
    ] = None,
    max_ap_loss: Annotated[float | None, typer.Option(help="In AP from 0 to 1, 0.005 by default.")] = None,
    inconclusive_ok: Annotated[
        bool, typer.Option("--inconclusive-ok", help="Exit with 0 instead of 3 where it is inconclusive.")
    ] = False,
    identical_is_enough: Annotated[
        bool,
        typer.Option("--identical-is-enough", help="Identical detections pass, on however few images."),
    ] = False,
    indicative: Annotated[
        bool, typer.Option("--indicative", help="Accept results of different machines; latency is inconclusive then.")
    ] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write a summary for a CI page there.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML there.")] = None,
    as_json: Json = False,
) -> None:
    """Judge HEAD against BASE: exit code 0 pass, 1 fail, 3 inconclusive, 2 wrong use."""
    from ..benchmarks.compare.gate import gate
    from ..benchmarks.compare.limits import read_limits
    from ..benchmarks.store.run_folder import write_atomically
    from ..reports.text.json import comparison_json
    from ..reports.text.junit import junit_xml
    from ..reports.text.markdown import comparison_markdown

    judged_by = read_limits(limits, max_slowdown=max_slowdown, max_ap_loss=max_ap_loss)
    comparison = options.compare()
    result = gate(comparison, judged_by, indicative=indicative, identical_is_enough=identical_is_enough)
    if markdown is not None:
        write_atomically(markdown, comparison_markdown(comparison, result).encode())
    if junit is not None:
        write_atomically(junit, junit_xml(result))
    if as_json:
        typer.echo(json_text(comparison_json(comparison, result), indent=2))
    else:
        _print(comparison, result)
    raise typer.Exit(result.exit_code(inconclusive_ok=inconclusive_ok))


def _print(comparison: Comparison, result: GateResult | None) -> None:
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from ..reports.text.comparison import headline, joined, reasons, rows, scope, summary_line, titles, what_to_do

    console = stdout()
    found = rows(comparison, result)
    first = summary_line(comparison) if result is None else headline(result)
    console.print(Text(visible(first), style=_style(result)))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in titles(comparison, result):
        table.add_column(title, overflow="fold")
    for row in found:
        table.add_row(*(Text(joined(cell, "\n")) for cell in row.cells))
    console.print(table)
    if result is not None:
        for line in [*reasons(result), *what_to_do(result)]:
            console.print(Text(visible(line)))
    for row in found:
        if row.notable and row.details:
            console.print(Text(f"\n{visible(row.label)}", style="bold"))
            for heading, text in row.details:
                console.print(Padding(Text(f"{heading}: {visible(text)}"), (0, 0, 0, 2)))
    for note in comparison.notes if result is None else result.notes:
        console.print(Text(visible(f"note: {note}")))
    console.print(Text(f"\n{visible(scope(comparison))}"))


def _style(result: GateResult | None) -> str:
    return "bold" if result is None else {"pass": "bold green", "fail": "bold red"}.get(result.outcome, "bold yellow")
