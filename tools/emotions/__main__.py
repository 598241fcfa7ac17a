"""`python -m facebench.tools.emotions`: the research behind the emotion classifier, in three verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...cli import main
from ...cli.console import Device, stderr
from ...cli.emotions import Fer, fer2013, training_bar

app = typer.Typer(help="The research behind the emotion classifier.", no_args_is_help=True, add_completion=False)


@app.command("search")
def search_command(
    data: Fer = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The table of trials; those in it are not run again.")
    ] = Path("runs/search/trials.jsonl"),
    device: Annotated[Device, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Compare networks, then recipes, by short trainings: which one should be trained for long?"""
    from ...datasets.faces.duplicates import audit
    from ...emotions.training import ship
    from .search import search

    ship.require_torch()
    images = fer2013(data)
    with stderr().status("looking for images of the training part that repeat one held out"):
        training, public = ship.training_and_public(images, audit(images))
    output.parent.mkdir(parents=True, exist_ok=True)
    with training_bar("trial ") as observer:
        best = search(training, public, output, device=device, observer=observer)
    typer.echo(f"{best.network} by {best.recipe} is best: {best.public_accuracy:.1%} of PublicTest; wrote {output}")


@app.command("copies")
def copies_command(
    data: Fer = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Results as JSON; checkpoints go beside it.")] = Path(
        "runs/copies/copies.json"
    ),
    epochs: Annotated[int | None, typer.Option(min=1, help="Of each training; else 44.")] = None,
    device: Annotated[Device, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train one recipe with FER2013's copies of held-out images left in and taken out: what is memory worth?"""
    from ...datasets.faces.duplicates import audit, summary
    from ...emotions.training.ship import require_torch
    from . import copies

    require_torch()
    console, images = stderr(), fer2013(data)
    for split in copies.HELD_OUT:
        images.split(split)  # says what is missing before the long search
    with console.status("looking for images of the training part that repeat one held out"):
        found = audit(images)
    for line in summary(images, found):
        console.print(line, highlight=False, soft_wrap=True)
    plan = copies.copies_plan(epochs=epochs)
    with training_bar("copies left in: ") as observer:
        trials = copies.measure_copies(
            images,
            copies.learnt_from(images, found),
            copies.held_out_parts(images, found),
            plan,
            output=output,
            device=device,
            observer=observer,
        )
    copies.write_trials(trials, plan, output)
    typer.echo(copies.copies_table(trials))
    typer.echo(f"wrote {output}")


@app.command("claim")
def claim_command() -> None:
    """Recompute what the study that facebench began from said of its emotion model."""
    from .study_claim import StudyClaim

    for sentence in StudyClaim().sentences:
        typer.echo(sentence)


if __name__ == "__main__":
    main(app)
