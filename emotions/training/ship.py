"""From FER2013 to the shipped classifier: teachers, pupil, export, and the scores that its card shows.

What goes in is what `datasets.fer` reads. Learnt from is the study's training part without the images that repeat a
held-out one; epochs and networks are chosen on PublicTest; PrivateTest and the study's 2,867 are looked at once
for each file that is shipped, after its export. docs/emotions.md says how network and recipe were chosen.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...benchmarks.store.run_folder import write_atomically
from ...datasets.faces.duplicates import Audit, summary
from ...datasets.faces.fer import EMOTIONS, FerImages
from ...errors import UnavailableError
from ..pipeline.classifier import EmotionClassifier
from ..scoring.evaluation import Evaluation, as_json, write_evaluation

if TYPE_CHECKING:
    from torch.nn import Module

    from .plan import EpochReport, LabelledImages, TrainingPlan, TrainingResult

MODELS = Path(__file__).parents[1] / "models"
SCORES = MODELS / "scores.json"
NETWORK = "plain-5"
TEACHERS = ("residual-wide", "plain-wide")
_AUGMENTATION: MappingProxyType[str, float] = MappingProxyType(
    {"rotation_deg": 12.0, "scale": 0.2, "stretch": 0.1, "shift": 0.1, "gamma": 0.3, "erase_area": 0.2}
)
_TEACHER: MappingProxyType[str, Any] = MappingProxyType(
    {"epochs": 36, "batch_size": 128, "shards": 1, "peak_learning_rate": 0.1, "warm_up": 0.1, "mixup": 0.0}
)
_PUPIL: MappingProxyType[str, Any] = MappingProxyType(
    {**_TEACHER, "epochs": 40, "shards": 2, "mixup": 0.2, "mixup_until": 0.9, "teaching": 0.8}
)
"""What teachers and pupil change in `TrainingPlan` and `Augmentation`."""


def require_torch() -> None:
    """Say how to fetch PyTorch where it is missing.

    Raises:
        UnavailableError: it is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise UnavailableError("training needs PyTorch, which is not installed", "pip install 'facebench[torch]'")


def training_and_public(images: FerImages, found: Audit) -> tuple[LabelledImages, LabelledImages]:
    """Return the clean training images and PublicTest.

    Args:
        images: all of FER2013.
        found: what `datasets.duplicates.audit` says of them.

    Raises:
        DataError: there is no PublicTest, or no training image is clean.
    """
    return labelled(images.where(found.clean)), labelled(images.split("public"))


def labelled(images: FerImages) -> LabelledImages:
    """Return the images as `training.train` takes them.

    Raises:
        DataError: there is none.
    """
    from .plan import LabelledImages

    return LabelledImages(images.images, images.labels)


def teacher_plans(*, epochs: int | None = None) -> tuple[TrainingPlan, ...]:
    """Return the plans of the networks that teach; each trains on one core."""
    return tuple(_plan(network, _TEACHER, epochs) for network in TEACHERS)


def pupil_plan(*, epochs: int | None = None) -> TrainingPlan:
    """Return the plan of the network that is shipped, taught by `TEACHERS`."""
    return _plan(NETWORK, _PUPIL, epochs)


def _plan(network: str, recipe: Mapping[str, Any], epochs: int | None) -> TrainingPlan:
    from .augment import Augmentation
    from .plan import TrainingPlan

    changed = {**recipe, "epochs": epochs or recipe["epochs"]}
    return TrainingPlan(network=network, augmentation=Augmentation(**_AUGMENTATION), **changed)


def train_and_export(
    images: FerImages,
    found: Audit,
    output: Path,
    *,
    plan: TrainingPlan | None = None,
    teachers: Sequence[TrainingPlan] | None = None,
    device: str = "cpu",
    observer: Callable[[str, EpochReport], None] | None = None,
) -> tuple[TrainingResult, ...]:
    """Train the teachers, then the classifier, and write its ONNX file.

    Beside it stand, for each training, a checkpoint and a log (JSON lines: the plan, then an epoch each). An
    interrupted call goes on from the checkpoints when it is repeated.

    Args:
        images: all of FER2013. A csv does not say which images are the study's 2,867: read from it, they are
            learnt from.
        found: what `datasets.duplicates.audit` says of them.
        output: the ONNX file.
        plan: what to train; None: `pupil_plan()`.
        teachers: who teaches it; None: `teacher_plans()`.
        device: "cpu" or "cuda".
        observer: called after each epoch with the name of the network.

    Returns:
        The classifier's training, and those of its teachers.

    Raises:
        UnavailableError: torch is not installed.
        UsageError, DataError, DeviceError: as `training.train` does.
        ContractError: the ONNX file answers unlike the network, or is too large.
    """
    require_torch()
    from .onnx_export import export
    from .train import train

    training, public = training_and_public(images, found)
    output.parent.mkdir(parents=True, exist_ok=True)

    def run(one: TrainingPlan, suffix: str, networks: Sequence[Module] = ()) -> TrainingResult:
        result = train(
            one,
            training,
            public,
            teachers=networks,
            checkpoint=output.with_suffix(f"{suffix}.checkpoint"),
            device=device,
            observer=None if observer is None else lambda report: observer(one.network, report),
        )
        lines = _as_log(result.plan, result.log)
        log = output.with_name(f"training{suffix.replace('.', '-')}.jsonl")
        write_atomically(log, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        return result

    taught_by = [run(one, f".{one.network}") for one in (teacher_plans() if teachers is None else teachers)]
    result = run(plan or pupil_plan(), "", [teacher.network for teacher in taught_by])
    export(result.network, output, public.images[:512], classes=EMOTIONS)
    return (result, *taught_by)


def latency_ms(
    classifier: EmotionClassifier,
    faces: int,
    *,
    repetitions: int = 100,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Return median and 90th percentile of the milliseconds a face, when so many are classified in one call.

    Args:
        classifier: with the threads to measure with.
        faces: how many in a call.
        repetitions: calls that are timed, after three that are not.
        clock: gives seconds.
    """
    crops = np.random.default_rng(0).integers(0, 256, (faces, 48, 48), np.uint8)
    times = []
    for _ in range(repetitions + 3):
        start = clock()
        classifier.classify_grey(crops)
        times.append((clock() - start) * 1000 / faces)
    return float(np.median(times[3:])), float(np.quantile(times[3:], 0.9))


def write_card(
    images: FerImages,
    found: Audit,
    results: Sequence[TrainingResult],
    model: Path,
    evaluations: Sequence[Evaluation],
    *,
    command: str,
) -> None:
    """Write `scores.json` and the model card `README.md` beside an exported file.

    Args:
        images: all of FER2013.
        found: what `datasets.duplicates.audit` says of them.
        results: what `train_and_export` returned.
        model: the ONNX file.
        evaluations: of that file first, then of others to compare it with.
        command: what trains it again, for the card.

    Raises:
        DataError: FER2013 has no PublicTest.
        ModelStoreError: the ONNX file cannot be read.
    """
    from ...benchmarks.measure.environment import machine
    from .card import CardFacts, render
    from .onnx_export import largest_difference

    result, *teachers = results
    classifier = EmotionClassifier(model, name="facebench")
    write_evaluation(evaluations, model.with_name(SCORES.name))
    facts = CardFacts(
        sha256=classifier.sha256,
        bytes=model.stat().st_size,
        network=result.plan.network,
        parameters=sum(weight.numel() for weight in result.network.parameters()),
        plan=dataclasses.asdict(result.plan),
        best_epoch=result.best_epoch,
        log=[dataclasses.asdict(report) for report in result.log],
        teachers=[_as_log(teacher.plan, teacher.log) for teacher in teachers],
        audit=summary(images, found),
        training_images=int(found.clean.sum()),
        difference=largest_difference(model, result.network, images.split("public").images),
        latency={str(faces): latency_ms(classifier, faces) for faces in (1, 64)},
        machine=machine(),
        command=command,
        scores={one.classifier: {name: as_json(report) for name, report in one.reports.items()} for one in evaluations},
    )
    write_atomically(model.with_name("README.md"), render(facts).encode("utf-8"))


def _as_log(plan: TrainingPlan, reports: Sequence[EpochReport]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(plan), *map(dataclasses.asdict, reports)]
