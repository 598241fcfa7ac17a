"""Verbs of the emotion stage: train, evaluate, score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MissingDataError
from .app import App
from .console import Data, Device, Json, RunPath, Seed, json_text, load_classifier, say, stderr, stdout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..datasets.faces.ckplus import CkImages
    from ..datasets.faces.fer import FerImages
    from ..emotions.pipeline.classifier import EmotionClassifier
    from ..emotions.scoring.evaluation import Evaluation
    from ..emotions.training.plan import EpochReport

emotions_app = App("What follows a detector: the emotions of the faces found.")

Fer = Annotated[
    Path | None,
    typer.Option("--data", help="FER2013: class folders, a zip of them, fer2013.csv, or the folder of one of them."),
]
Ck = Annotated[Path | None, typer.Option("--ckplus", help="CK+: class folders or a zip of them; else beside FER2013.")]
Classifiers = Annotated[
    str, typer.Option(help="facebench, mini-xception or an ONNX file of your own; several with commas.")
]


@emotions_app.command("train")
def train_command(
    data: Fer = None,
    ckplus: Ck = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The ONNX file; log, scores and model card go beside it.")
    ] = Path("runs/emotions/emotions.onnx"),
    epochs: Annotated[int | None, typer.Option(min=1, help="Of each long training; else as many as ours had.")] = None,
    device: Annotated[Device, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train the emotion classifier, export it and write its card; interrupted, the same command goes on."""
    from ..datasets.faces.duplicates import audit, repeats_of_training, summary
    from ..emotions.training import ship as shipping

    shipping.require_torch()
    console = stderr()
    images, ck = fer2013(data), _ck(ckplus, data)
    with console.status("looking for images of the training part that repeat one held out"):
        found = audit(images)
        repeated = repeats_of_training(images)
    for line in summary(images, found):
        console.print(line, soft_wrap=True)
    if output.parent == shipping.MODELS:
        console.print("this replaces the classifier that comes with facebench", style="yellow")
    output.parent.mkdir(parents=True, exist_ok=True)
    with training_bar("training ") as observer:
        results = shipping.train_and_export(
            images,
            found,
            output,
            plan=shipping.pupil_plan(epochs=epochs),
            teachers=shipping.teacher_plans(epochs=epochs),
            device=device,
            observer=observer,
        )
    classifiers = [load_classifier(str(output), "facebench"), load_classifier("mini-xception")]
    evaluations = _evaluations(classifiers, images, ck, repeated)
    options = f" --epochs {epochs}" if epochs else ""
    command = f"facebench emotions train --data FER2013{options} -o {output.name}"
    shipping.write_card(images, found, results, output, evaluations, command=command)
    _print_evaluations(evaluations)
    say(f"wrote {output} and, beside it, the logs of all trainings, scores.json and README.md (the model card)")


@emotions_app.command("evaluate")
def evaluate_command(
    data: Fer = None,
    ckplus: Ck = None,
    classifiers: Classifiers = "facebench,mini-xception",
    repeats: Annotated[
        bool, typer.Option("--repeats", help="Also by whether an image repeats one of Training: takes a minute.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the same as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Report classifiers on FER2013's held-out parts and CK+."""
    from ..datasets.faces.duplicates import repeats_of_training
    from ..emotions.scoring.evaluation import as_document, write_evaluation

    images, ck = _fer_or_none(data), _ck(ckplus, data)
    if images is None and ck is None:
        images = fer2013(data)
    chosen, repeated = [load_classifier(name) for name in _names(classifiers)], None
    if repeats and images is not None:
        with stderr().status("looking for held-out images that repeat one of Training"):
            repeated = repeats_of_training(images)
    evaluations = _evaluations(chosen, images, ck, repeated)
    if output is not None:
        write_evaluation(evaluations, output)
    if as_json:
        typer.echo(json_text(as_document(evaluations), indent=1))
    else:
        _print_evaluations(evaluations)


@emotions_app.command("score")
def score_command(
    run: RunPath,
    data: Data = None,
    classifier: Annotated[
        str, typer.Option(help="facebench, mini-xception or an ONNX file of your own.")
    ] = "facebench",
    detectors: Annotated[
        list[str] | None, typer.Option(help="Detectors of the run, comma-separated; by default all.")
    ] = None,
    crops: Annotated[
        list[str] | None,
        typer.Option("--crop", help="How faces are cut out, such as margin=0.1,square; may be repeated."),
    ] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Also try a list of crops.")] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score the detectors of a run together with a classifier: who finds the face, and is its emotion named right."""
    import json

    from rich.text import Text

    from ..benchmarks.analysis.table import Resampling
    from ..benchmarks.store.run_folder import RunFolder
    from ..datasets import load
    from ..detectors import split_list
    from ..emotions.pipeline.crops import DEFAULT_POLICY, SWEEP, as_policy
    from ..emotions.scoring.document import FILE_NAME
    from ..emotions.scoring.score_run import score_run
    from ..emotions.scoring.score_run import sweep as sweep_crops
    from ..emotions.training.ship import SCORES
    from ..reports.sections.emotions import emotions_section, emotions_text

    folder = RunFolder.open(run)
    dataset = load(folder.document.dataset.name, root=data)
    policies = list(dict.fromkeys(as_policy(crop) for crop in crops or [str(DEFAULT_POLICY)]))
    specs = [spec for text in detectors or [] for spec in split_list(text)]
    chosen = load_classifier(classifier)
    console = stderr()
    without = [cell.spec for cell in folder.cells if not cell.info.landmarks]
    if without and any(policy.align for policy in (*policies, *(SWEEP if sweep else ()))):
        console.print(
            f"no landmarks: {', '.join(without)}; their faces are cut by the box, not aligned", soft_wrap=True
        )
    with console.status("reading the run") as status:

        def show(name: str, done: int, total: int) -> None:
            status.update(Text(f"{name}: {done} of {total} images"))

        which, drawn = specs or None, Resampling(seed)
        score_run(folder, dataset, chosen, policies=policies, specs=which, resampling=drawn, observer=show)
        crops_tried = (
            sweep_crops(folder, dataset, chosen, specs=which, resampling=drawn, observer=show) if sweep else None
        )
    if as_json:
        typer.echo(json_text(json.loads((folder.path / FILE_NAME).read_text(encoding="utf-8")), indent=1))
        return
    out = stdout()
    for policy in policies:
        section = emotions_section(folder.path / FILE_NAME, SCORES, classifier=chosen.name, policy=str(policy))
        if section is not None:
            say(*emotions_text(section, out.width if out.is_terminal else None).split("\n"))
    if crops_tried is not None:
        say(*crops_tried.to_string(index=False, float_format="%.3f").split("\n"))
    say(f"wrote {folder.path / FILE_NAME}; `facebench report {run}` shows it")


@contextmanager
def training_bar(title: str) -> Iterator[Callable[[str, EpochReport], None]]:
    """Yield an observer that shows a bar over the epochs and prints a line for each; an interruption is told."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = stderr()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

    def show(name: str, report: EpochReport) -> None:
        progress.update(task, description=f"{title}{name}", completed=report.epoch, total=report.epochs)
        console.print(
            f"{title}{name}, epoch {report.epoch} of {report.epochs}: loss {report.train_loss:.3f}, PublicTest "
            f"{report.public_accuracy:.1%}, best {report.best_accuracy:.1%}, {report.seconds:.0f} s",
            soft_wrap=True,
        )

    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(title, total=None)
            yield show
    except KeyboardInterrupt:
        say("facebench: interrupted; the same command goes on after the last whole epoch", err=True)
        raise SystemExit(130) from None


def fer2013(data: Path | None) -> FerImages:
    """Return FER2013.

    Raises:
        MissingDataError: it is not there.
    """
    from ..datasets import data_root
    from ..datasets.faces.fer import load_fer

    return load_fer(data_root(data))


def _fer_or_none(data: Path | None) -> FerImages | None:
    """Return FER2013 where it is; a folder that was named must hold it or CK+."""
    try:
        return fer2013(data)
    except MissingDataError:
        return None


def _ck(ckplus: Path | None, data: Path | None) -> CkImages | None:
    """Return CK+; where no place was named, only if it lies beside FER2013."""
    from ..datasets import data_root
    from ..datasets.faces.ckplus import load_ckplus

    if ckplus is not None:
        return load_ckplus(ckplus)
    try:
        return load_ckplus(data_root(data))
    except MissingDataError:
        return None


def _names(classifiers: str) -> list[str]:
    return [name.strip() for name in classifiers.split(",") if name.strip()]


def _evaluations(
    classifiers: list[EmotionClassifier],
    images: FerImages | None,
    ck: CkImages | None,
    repeated: NDArray[np.bool_] | None,
) -> list[Evaluation]:
    from ..emotions.scoring.evaluation import evaluate

    with stderr().status("classifying") as status:
        return [evaluate(one, images, ck, repeated=repeated, observer=status.update) for one in classifiers]


def _print_evaluations(evaluations: list[Evaluation]) -> None:
    from ..emotions.scoring.evaluation_text import text_table

    say(*text_table(evaluations).split("\n"))
