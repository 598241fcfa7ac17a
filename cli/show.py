"""Verbs that read results: report, table, pick."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .console import ByEvent, Device, Json, RunPath, Seed, print_summary


def report_command(
    run: RunPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file.")] = Path("report.html"),
    by_event: ByEvent = False,
    seed: Seed = 0,
) -> None:
    """Write one self-contained HTML file that compares the detectors of a run."""
    from ..benchmarks.summary import Resampling, load_summary
    from ..reports.html import write_report

    write_report(load_summary(run, Resampling(seed, by_event)), output)
    typer.echo(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)")


def table_command(
    run: RunPath,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
    by_event: ByEvent = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Print the table of a run again."""
    from ..benchmarks.summary import Resampling, load_summary
    from ..reports.markdown import markdown_table

    summary = load_summary(run, Resampling(seed, by_event))
    if markdown:
        typer.echo(markdown_table(summary), nl=False)
    else:
        print_summary(summary, as_json)


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
    from ..benchmarks.ranking import Rule, pick, write_pick
    from ..benchmarks.summary import load_summary

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
