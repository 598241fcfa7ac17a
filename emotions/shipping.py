"""From FER2013 to the shipped classifier: search, long training, export, and the scores that its card shows.

What goes in is what `datasets.fer` reads. Learnt from is the study's training part without the pictures that repeat a
held-out one; epochs and networks are chosen on PublicTest; PrivateTest and the study's 2,867 are looked at once, by
`measure`, after the export.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..benchmarks.results import write_atomically
from ..datasets.duplicates import Audit, summary
from ..datasets.fer import EMOTIONS, FerPictures
from ..errors import UnavailableError
from .classifier import EmotionClassifier
from .evaluation import Evaluation, as_json, write_evaluation

if TYPE_CHECKING:
    from .training import EpochReport, LabelledPictures, TrainingPlan, TrainingResult

MODELS = Path(__file__).with_name("models")
TRIALS = MODELS / "trials.jsonl"
LOG = MODELS / "training.jsonl"
SCORES = MODELS / "scores.json"
EARLIER_LOG = MODELS / "training-adamw.jsonl"
LONG_EPOCHS = 70
LONG_RECIPE: MappingProxyType[str, Any] = MappingProxyType(
    {
        "optimiser": "sgd",
        "peak_learning_rate": 0.06,
        "warm_up": 0.1,
        "weight_decay": 1e-3,
        "mixup_until": 0.9,
    }
)
LONG_AUGMENTATION: MappingProxyType[str, float] = MappingProxyType(
    {"rotation_deg": 15.0, "scale": 0.2, "stretch": 0.1, "shift": 0.1, "gamma": 0.3, "erase_area": 0.2}
)
"""What the long training changes in `TrainingPlan` and in its `Augmentation`.

The recipe that had won the short trials, AdamW with mild changes to the pictures, was trained for long first
(`EARLIER_LOG`): PublicTest stopped rising halfway and fell while the learning rate did, and the network had learnt four
of five training pictures by heart. Trials of four epochs cannot show that. Of the two long trainings the better one on
PublicTest is shipped.
"""


def require_torch() -> None:
    """Say how to bring PyTorch where it is missing.

    Raises:
        UnavailableError: it is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise UnavailableError("training needs PyTorch, which is not installed", "pip install 'facebench[torch]'")


def training_and_public(pictures: FerPictures, found: Audit) -> tuple[LabelledPictures, LabelledPictures]:
    """Return the clean training pictures and PublicTest.

    Args:
        pictures: all of FER2013.
        found: what `datasets.duplicates.audit` says of them.

    Raises:
        DataError: there is no PublicTest, or no training picture is clean.
    """
    from .training import LabelledPictures

    clean, public = pictures.where(found.clean), pictures.split("public")
    return LabelledPictures(clean.images, clean.labels), LabelledPictures(public.images, public.labels)


def long_plan(trials: Path = TRIALS, *, epochs: int = LONG_EPOCHS) -> TrainingPlan:
    """Return the plan of the long training, for the network that the search chose.

    Raises:
        DataError: the table holds no trial or cannot be read.
    """
    from .augment import Augmentation
    from .search import read_table, winner
    from .training import TrainingPlan

    network = winner(read_table(trials)).network
    augmentation = Augmentation(**LONG_AUGMENTATION)
    return TrainingPlan(network=network, epochs=epochs, augmentation=augmentation, **LONG_RECIPE)


def train_and_export(
    pictures: FerPictures,
    found: Audit,
    output: Path,
    *,
    plan: TrainingPlan | None = None,
    checkpoint: Path | None = None,
    log: Path | None = None,
    device: str = "cpu",
    observer: Callable[[EpochReport], None] | None = None,
) -> TrainingResult:
    """Train the classifier and write its ONNX file; an interrupted call goes on from the checkpoint when repeated.

    Args:
        pictures: all of FER2013. A csv does not say which pictures are the study's 2,867: read from it, they are
            learnt from.
        found: what `datasets.duplicates.audit` says of them.
        output: the ONNX file.
        plan: what to train; None: `long_plan()`.
        checkpoint: written after each epoch; None: beside `output`.
        log: JSON lines, one an epoch, written at the end; None: none.
        device: "cpu" or "cuda".
        observer: called after each epoch.

    Raises:
        UnavailableError: torch is not installed.
        UsageError, DataError, DeviceError: as `training.train` does.
        ContractError: the ONNX file answers unlike the network, or is too large.
    """
    require_torch()
    from .onnx_export import export
    from .training import train

    training, public = training_and_public(pictures, found)
    output.parent.mkdir(parents=True, exist_ok=True)
    result = train(
        plan or long_plan(),
        training,
        public,
        checkpoint=checkpoint or output.with_suffix(".checkpoint"),
        device=device,
        observer=observer,
    )
    export(result.network, output, public.images[:512], classes=EMOTIONS)
    if log is not None:
        lines = [json.dumps(dataclasses.asdict(report)) for report in result.log]
        write_atomically(log, ("\n".join([json.dumps(dataclasses.asdict(result.plan)), *lines]) + "\n").encode())
    return result


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
    pictures: FerPictures,
    found: Audit,
    result: TrainingResult,
    model: Path,
    evaluations: Sequence[Evaluation],
    *,
    trials: Path = TRIALS,
    command: str,
) -> None:
    """Write `scores.json` and the model card `README.md` beside an exported file.

    Args:
        pictures: all of FER2013.
        found: what `datasets.duplicates.audit` says of them.
        result: what `train_and_export` returned.
        model: the ONNX file.
        evaluations: of that file first, then of others to compare it with.
        trials: the search's table.
        command: what trains it again, for the card.

    Raises:
        DataError: FER2013 has no PublicTest, or the search's table cannot be read.
        ModelStoreError: the ONNX file cannot be read.
    """
    from ..benchmarks.environment import machine
    from .card import CardFacts, render
    from .onnx_export import largest_difference
    from .search import read_table

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
        earlier=[json.loads(line) for line in EARLIER_LOG.read_text(encoding="utf-8").splitlines()[1:]],
        trials=[dataclasses.asdict(trial) for trial in read_table(trials)],
        audit=summary(pictures, found),
        training_pictures=int(found.clean.sum()),
        difference=largest_difference(model, result.network, pictures.split("public").images),
        latency={str(faces): latency_ms(classifier, faces) for faces in (1, 64)},
        machine=machine(),
        command=command,
        scores={one.classifier: {name: as_json(report) for name, report in one.reports.items()} for one in evaluations},
    )
    write_atomically(model.with_name("README.md"), render(facts).encode("utf-8"))
