"""What copies are worth: one recipe, trained with and without the training images that repeat a held-out one.

FER2013 holds many photographs twice. The same plan is trained three times here: on the clean images, as the shipped
classifier is (without what repeats an image held out, and without repetitions within training, contradictions and
blanks), on all but those that are pixel-equal to an image held out, and on all. What the accuracy gains on held-out
images that are repeated in training, and on no other, is memory.

A csv does not say which images are the study's 2,867: read from it, they are learnt from.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.store.run_folder import write_atomically
from ...datasets.faces.duplicates import Audit
from ...datasets.faces.fer import EMOTIONS, FerImages
from ...emotions.scoring.classification import classification_report
from ...emotions.scoring.evaluation_text import aligned, percent
from ...emotions.training.ship import labelled, teacher_plans

if TYPE_CHECKING:
    from ...emotions.training.plan import EpochReport, TrainingPlan

LEFT_IN = ("none", "near", "all")
HELD_OUT = ("public", "private")


@dataclass(frozen=True, slots=True)
class CopiesTrial:
    """One training of the three.

    Attributes:
        left_in: one of `LEFT_IN`.
        images: how many it learnt from.
        accuracy: by part of FER2013, "public" and "private", and by "new" or "repeated" after a hyphen: of the images
            that the study's training part does not repeat, and of those that it does; those that hold no image are
            left out.
        counts: how many images each has.
    """

    left_in: str
    images: int
    accuracy: Mapping[str, Interval]
    counts: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; an interval is value, low and high."""
        intervals = {name: [one.value, one.low, one.high] for name, one in self.accuracy.items()}
        return {"left_in": self.left_in, "pictures": self.images, "accuracy": intervals, "counts": dict(self.counts)}


def copies_plan(*, epochs: int | None = None) -> TrainingPlan:
    """Return the plan that is trained with and without copies: a teacher's, a little longer, on two cores."""
    *_, teacher = teacher_plans(epochs=epochs or 44)
    return dataclasses.replace(teacher, shards=2)


def learnt_from(images: FerImages, found: Audit) -> dict[str, NDArray[np.bool_]]:
    """Return the masks, bool (n,), of the images that each training learns from, by `LEFT_IN`."""
    train = images.part == "train"
    equal = np.zeros(len(images), np.bool_)
    equal[found.held_out.first[found.held_out.kind == "exact"]] = True
    return {"none": found.clean, "near": train & ~equal, "all": train}


def held_out_parts(images: FerImages, found: Audit) -> dict[str, NDArray[np.bool_]]:
    """Return the masks, bool (n,), of the images that the trainings are scored on, as `CopiesTrial` names them."""
    repeated = np.zeros(len(images), np.bool_)
    repeated[found.held_out.second] = True
    masks: dict[str, NDArray[np.bool_]] = {}
    for name in HELD_OUT:
        whole = images.is_in(name)
        masks |= {name: whole, f"{name}-new": whole & ~repeated, f"{name}-repeated": whole & repeated}
    return {name: mask for name, mask in masks.items() if mask.any()}


def measure_copies(
    images: FerImages,
    learnt: Mapping[str, NDArray[np.bool_]],
    held_out: Mapping[str, NDArray[np.bool_]],
    plan: TrainingPlan,
    *,
    output: Path,
    device: str = "cpu",
    observer: Callable[[str, EpochReport], None] | None = None,
) -> list[CopiesTrial]:
    """Train the plan once for each set of images and score the epoch that is best on PublicTest.

    Args:
        images: all of FER2013.
        learnt: from `learnt_from`.
        held_out: from `held_out_parts`, with "public" among them.
        plan: has no teachers.
        output: where results will go; checkpoints go beside it, and an interrupted call goes on from them.
        device: "cpu" or "cuda".
        observer: called after each epoch with the name of the set.

    Raises:
        UsageError, DataError, DeviceError: as `training.train` does.
    """
    from ...emotions.training.train import predict, train

    output.parent.mkdir(parents=True, exist_ok=True)
    trials = []
    public = labelled(images.where(held_out["public"]))
    for name, mask in learnt.items():
        result = train(
            plan,
            labelled(images.where(mask)),
            public,
            checkpoint=output.with_suffix(f".{name}.checkpoint"),
            device=device,
            observer=None if observer is None else lambda report, name=name: observer(name, report),  # type: ignore[misc]
        )
        accuracy = {}
        scored = np.flatnonzero(np.any(list(held_out.values()), axis=0))
        answers = predict(result.network.to(device), images.images[scored], device=device).softmax(1).numpy()
        for part, chosen in held_out.items():
            labels, probabilities = images.labels[chosen], answers[chosen[scored]].astype(np.float64)
            accuracy[part] = classification_report(labels, probabilities, EMOTIONS).accuracy
        counts = {part: int(chosen.sum()) for part, chosen in held_out.items()}
        trials.append(CopiesTrial(name, int(mask.sum()), accuracy, counts))
    return trials


def write_trials(trials: Sequence[CopiesTrial], plan: TrainingPlan, path: Path) -> None:
    """Write what was trained and what came of it as JSON."""
    content = {"plan": dataclasses.asdict(plan), "trials": [trial.as_json() for trial in trials]}
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def copies_table(trials: Sequence[CopiesTrial]) -> str:
    """Return trainings with and without copies as text: a row each, accuracy in per cent with its interval."""
    parts = list(trials[0].counts)
    head = ["copies left in", "learnt from", *(f"{name} ({trials[0].counts[name]:,})" for name in parts)]
    rows = [
        [trial.left_in, f"{trial.images:,}", *(percent(trial.accuracy[name]) for name in parts)] for trial in trials
    ]
    return aligned([head, *rows])
