"""Verbs that read results: report, table, pick."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError, did_you_mean
from .console import ByEvent, Device, Json, RunPath, Seed, json_text, print_summary, say


def report_command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Results folder; further ones are compared with the first.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file.")] = Path("report.html"),
    emotions: Annotated[
        Path | None, typer.Option(help="Run whose emotion scores to show; by default those of the run itself.")
    ] = None,
    no_images: Annotated[
        bool, typer.Option("--no-images", "--no-pictures", help="Embed no image of the data set, to pass the file on.")
    ] = False,
    by_event: ByEvent = False,
    seed: Seed = 0,
) -> None:
    """Write one self-contained HTML file that compares the detectors of a run."""
    from ..benchmarks.analysis.table import Resampling, summarise_run
    from ..benchmarks.compare.runs import compare_runs
    from ..benchmarks.store.run_folder import RunFolder
    from ..emotions.scoring.document import FILE_NAME
    from ..emotions.training.ship import SCORES
    from ..reports.html import write_report

    emotion_run = None if emotions is None else RunFolder.open(emotions)
    if emotion_run is not None and not (emotion_run.path / FILE_NAME).exists():
        raise UsageError(f"{emotions} holds no emotion scores; write them first: facebench emotions score {emotions}")
    resampling = Resampling(seed, by_event)
    run, *others = [RunFolder.open(path) for path in runs]
    comparisons = [compare_runs(run, other, resampling=resampling) for other in others]
    summary = summarise_run(run, resampling)
    write_report(summary, output, emotion_run, SCORES, images=not no_images, comparisons=comparisons)
    say(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)")


def table_command(
    run: RunPath,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
    by_event: ByEvent = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Print the table of a run again."""
    from ..benchmarks.analysis.table import Resampling, load_summary
    from ..reports.text.markdown import markdown_table

    summary = load_summary(run, Resampling(seed, by_event))
    if markdown:
        typer.echo(markdown_table(summary), nl=False)
    else:
        print_summary(summary, as_json)


def pick_command(
    run: RunPath,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where to write the choice; else ./default_detector.json, or in the run's folder where that file is "
            "the default that comes with facebench.",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="realtime-cpu, far-faces, accuracy or tiny-memory; other options change it.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="ap_easy, ap_medium, ap_hard, ap_overall or ap_small; else the hardest list.")
    ] = None,
    max_p90_ms: Annotated[float | None, typer.Option(help="Leave out slower detectors.")] = None,
    max_memory_mb: Annotated[float | None, typer.Option(help="Leave out detectors that take more.")] = None,
    tie: Annotated[
        float | None,
        typer.Option(help="AP below the best that counts as equal; else what is not significantly different."),
    ] = None,
    device: Annotated[Device | None, typer.Option(help="cpu or cuda.")] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            help="Allow this licence for code and weights, such as MIT or Apache-2.0, or unknown; may be repeated."
        ),
    ] = None,
    not_trained_on: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out detectors trained on it, such as WIDER, and those whose training data are unknown; may be "
            "repeated."
        ),
    ] = None,
    allow_unknown_training: Annotated[
        bool, typer.Option("--allow-unknown-training", help="With --not-trained-on: keep those that are unknown.")
    ] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help='What a detector must reach on some faces, "recall\\[share>=.2] >= .95": recall or precision; share '
            "of the image or height in px; may be repeated."
        ),
    ] = None,
    require_on: Annotated[
        Path | None, typer.Option(help="Run of the same detectors on which --require is judged; else RUN.")
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Aim at this precision with its score threshold; 0.95 unless told.")
    ] = None,
    own_threshold: Annotated[
        bool, typer.Option("--own-threshold", help="Leave the winner its own score threshold.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Accept a demonstration data set.")] = False,
    accept_noise: Annotated[
        bool, typer.Option("--accept-noise", help="Choose even where noise in the latencies leaves it open.")
    ] = False,
    accept_unfinished: Annotated[
        bool, typer.Option("--accept-unfinished", help="Choose without the cells that have no result yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Choose the default detector by a declared rule, with reasons; exit code 3 where the run does not decide it."""
    from dataclasses import replace

    from ..benchmarks.analysis.table import load_summary
    from ..benchmarks.choose.default import BUILT_IN, FILE_NAME, write_pick
    from ..benchmarks.choose.pick import pick
    from ..benchmarks.choose.requirement import Requirement
    from ..benchmarks.choose.rule import PRESETS, Rule
    from ..benchmarks.store.run_folder import RunFolder

    in_run = output is None and Path(FILE_NAME).resolve() == BUILT_IN.resolve()
    output = output or (run / FILE_NAME if in_run else Path(FILE_NAME))
    if require_on is not None and not require:
        raise UsageError(
            'got --require-on without --require, expected a requirement such as "recall[share>=.2] >= .95"'
        )
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}. {did_you_mean(preset, PRESETS)}")
    given = {
        "metric": metric,
        "tie": tie,
        "max_p90_ms": max_p90_ms,
        "max_memory_mb": max_memory_mb,
        "device": device,
        "licences": tuple(licence or ()) or None,
        "not_trained_on": tuple(not_trained_on or ()) or None,
        "unknown_training": allow_unknown_training or None,
        "requirements": tuple(map(Requirement.parse, require or ())) or None,
        "precision": precision,
    }
    rule = PRESETS[preset] if preset else Rule()
    rule = replace(rule, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    choice = pick(
        load_summary(run),
        replace(rule, precision=None) if own_threshold else rule,
        demo=demo,
        required_on=None if require_on is None else RunFolder.open(require_on),
        accept_noise=accept_noise,
        accept_unfinished=accept_unfinished,
    )
    write_pick(choice, output)
    if as_json:
        typer.echo(json_text(choice, indent=2))
        return
    say(f"{choice['setting']['spec']}: {choice['rule']['text']}")
    for reason in choice["reasons"]:
        say(f"  - {reason}")
    if choice["runner_up"]:
        say(f"  - runner-up: {choice['runner_up']['detector']}")
    front = ", ".join(one["detector"] for one in choice["pareto"])
    say(f"  - no other is both faster and more accurate than: {front}")
    say(f"  - measured on {choice['measured_on']}")
    for name, why in choice["left_out"].items():
        say(f"  - left out: {name}: {why}")
    usual = "facebench detect and facebench.load_default() in this folder use it"
    elsewhere = f"to use it: export FACEBENCH_DEFAULT={shlex.quote(str(output))}"
    say(f"wrote {output}; {usual if output == Path(FILE_NAME) else elsewhere}")
