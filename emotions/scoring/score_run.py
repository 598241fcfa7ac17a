"""Every detector of a run together with a classifier, from the stored boxes: `emotions.json` beside the run.

Detectors are not run again. What is stored for the same detector, classifier, crop policy and code is not computed
again, so an interrupted call goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...benchmarks.analysis.table import Resampling
from ...benchmarks.measure.code_digest import code_digest
from ...benchmarks.measure.images import Images
from ...benchmarks.resampling.bootstrap import paired_difference
from ...benchmarks.scoring import ImageBoxes
from ...benchmarks.scoring.operating_point import as_scores
from ...benchmarks.store.records import StoredCell
from ...benchmarks.store.run_folder import RunFolder
from ...benchmarks.store.truth import by_image, decoded_ids
from ...datasets import Dataset
from ...datasets.base import crowd_regions
from ...datasets.faces.fer import EMOTIONS
from ...detectors import RGBImage
from ...errors import DataError, UsageError, did_you_mean
from ..pipeline.crops import DEFAULT_POLICY, SWEEP, CropPolicy, as_policy
from .answers import (
    FoundBoxes,
    ScoredClassifier,
    above,
    calibrated_policies,
    detector_answers,
    equal_alarm_thresholds,
    oracle_answers,
)
from .document import FILE_NAME, ScoreFile, answers_from, oracle_from, plain_answers
from .losses import Answers, LabelledFaces, end_to_end
from .table import (
    EQUAL_ALARMS,
    VARIANTS,
    EndToEndRow,
    EndToEndTable,
    Variant,
    confusion_of,
    make_table,
    plain_table,
)

Observer = Callable[[str, int, int], None]
"""Told what is being classified, and how many of its images are done; nothing is told of what is stored already."""

ANNOTATED = "annotated"
HALVES_SEED = 0
_LANDMARKS = [f"{axis}{point}" for point in range(1, 6) for axis in ("lx", "ly")]


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """A run and its data set, laid out for scoring."""

    run: RunFolder
    image_of: Callable[[int], RGBImage]
    usable: Sequence[str]
    faces: ImageBoxes
    counted: NDArray[np.bool_]
    known: LabelledFaces


def score_run(
    run: RunFolder,
    dataset: Dataset,
    classifier: ScoredClassifier,
    *,
    policies: Sequence[CropPolicy | str] = (DEFAULT_POLICY,),
    variants: Sequence[Variant] = VARIANTS,
    specs: Sequence[str] | None = None,
    resampling: Resampling | None = None,
    observer: Observer | None = None,
) -> list[EndToEndTable]:
    """Score the detectors of a finished run together with a classifier, and store the result beside it.

    Args:
        run: the folder of the run.
        dataset: the images of the run, with emotions. Faces to be ignored, and those whose expression is none of
            `EMOTIONS`, do not count; boxes on them are dropped.
        classifier: what answers.
        policies: how to crop, a table each.
        variants: rows of each detector; "same" is always there.
        specs: the detectors to score, by spec or by name; None: all that finished.
        resampling: how images are drawn for the intervals.
        observer: told about progress.

    Returns:
        A table for each policy, of the detectors and variants asked for; the stored ones hold earlier ones too.

    Raises:
        UsageError: the data set is not that of the run or has no emotions, or a detector is unknown.
        DataError: no face has an emotion.
        ResultsError: a file of the run is damaged, or the result cannot be written.
    """
    resampling = resampling or Resampling()
    material = _lay_out(run, dataset)
    cells = _cells(run, specs)
    file = ScoreFile(run.path / FILE_NAME, _describe(run, material))
    weights = resampling.weights(material.usable)
    tables = []
    for policy in map(as_policy, policies):
        work = _Work(material, classifier, policy, file, observer or _say_nothing)
        oracle = work.oracle()
        confusion = confusion_of(material.known.labels, oracle)
        wanted = {(cell.key, variant) for cell in cells for variant in ("same", *variants)}
        # what an earlier call scored stays in the stored table; its answers are there, so that costs nothing
        kept = wanted | file.scored(classifier.sha256, str(policy))
        rows = [row for cell in _cells(run, None) for row in work.rows(cell, oracle, weights, kept)]
        file.put_table(plain_table(make_table(classifier, policy, confusion, rows, resampling)))
        asked = [row for row in rows if (row.cell.key, row.variant) in wanted]
        tables.append(make_table(classifier, policy, confusion, asked, resampling))
    file.save()
    return tables


def sweep(
    run: RunFolder,
    dataset: Dataset,
    classifier: ScoredClassifier,
    *,
    policies: Sequence[CropPolicy | str] = SWEEP,
    specs: Sequence[str] | None = None,
    resampling: Resampling | None = None,
    observer: Observer | None = None,
) -> pd.DataFrame:
    """Score detectors under many crop policies.

    Args:
        run: the folder of the run.
        dataset: its images, with emotions.
        classifier: what answers.
        policies: the first one is what the others are compared with.
        specs: the detectors; None: all that finished.
        resampling: how images are drawn for the intervals.
        observer: told about progress.

    Returns:
        One row per detector and policy: detector, policy, then e2e_accuracy and oracle_accuracy with _low and _high,
        then gain with the same: e2e accuracy less that of the detector under the first policy, on the same draws.
    """
    tables = score_run(
        run,
        dataset,
        classifier,
        policies=policies,
        variants=("same",),
        specs=specs,
        resampling=resampling,
        observer=observer,
    )
    before = {row.key: row.score.e2e for row in tables[0].rows} if tables else {}
    rows = []
    for table in tables:
        for row in table.rows:
            gain = paired_difference(row.score.e2e, before[row.key]).interval
            numbers = {name: row.score.rates[name] for name in ("e2e_accuracy", "oracle_accuracy")} | {"gain": gain}
            rows.append(
                {"detector": row.label, "policy": table.policy}
                | {f"{name}{end}": getattr(value, at) for name, value in numbers.items() for end, at in _ENDS}
            )
    return pd.DataFrame(rows)


_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


class _Work:
    """Classifies under one policy what is not stored yet."""

    def __init__(
        self, material: _Material, classifier: ScoredClassifier, policy: CropPolicy, file: ScoreFile, observer: Observer
    ) -> None:
        self.material, self.classifier, self.policy, self.file = material, classifier, policy, file
        self.observer = observer

    def oracle(self) -> NDArray[np.int8]:
        identity = self._identity(ANNOTATED, "same", (), (str(self.policy),) * 2)
        stored = self.file.find(identity)
        if stored is not None:
            return oracle_from(stored)
        m = self.material
        answers = oracle_answers(
            m.image_of, m.faces, m.counted, self.policy, self.classifier, progress=self._progress(ANNOTATED)
        )
        none = np.zeros(0, np.int64)
        self.file.put(identity, plain_answers(Answers(answers, none, none.astype(np.int8))))
        return answers

    def rows(
        self,
        cell: StoredCell,
        oracle: NDArray[np.int8],
        weights: NDArray[np.integer[Any]],
        wanted: Set[tuple[str, str]],
    ) -> list[EndToEndRow]:
        """Score one cell in the variants that stand in `wanted` beside its key."""
        variants = [variant for variant in VARIANTS if (cell.key, variant) in wanted]
        if not variants:
            return []
        m = self.material
        everything = _found(m, cell)
        own = as_scores(cell.operating_threshold, everything.scores)
        rows = []
        for variant in variants:
            thresholds, policies = (own, own), (self.policy, self.policy)
            if variant == "equal_alarms":
                chosen = equal_alarm_thresholds(m.faces, m.counted, everything, EQUAL_ALARMS, seed=HALVES_SEED)
                if chosen is None:
                    continue
                thresholds = chosen
            found = above(everything, thresholds, seed=HALVES_SEED)
            if variant == "calibrated":
                policies = calibrated_policies(m.faces, m.counted, found, self.policy, seed=HALVES_SEED)
            answers = self._answers(cell, variant, found, thresholds, policies)
            used = (str(policies[0]), str(policies[1]))
            rows.append(EndToEndRow(cell, variant, thresholds, used, end_to_end(m.known, oracle, answers, weights)))
        return rows

    def _answers(
        self,
        cell: StoredCell,
        variant: Variant,
        found: FoundBoxes,
        thresholds: tuple[float, float],
        policies: tuple[CropPolicy, CropPolicy],
    ) -> Answers:
        used = (str(policies[0]), str(policies[1]))
        identity = self._identity(cell.key, variant, thresholds, used)
        stored = self.file.find(identity)
        if stored is not None:
            return answers_from(stored)
        m = self.material
        answers = detector_answers(
            m.image_of,
            m.faces,
            m.counted,
            found,
            policies,
            self.classifier,
            seed=HALVES_SEED,
            progress=self._progress(f"{cell.label}, {variant.replace('_', ' ')}"),
        )
        self.file.put(identity, plain_answers(answers))
        return answers

    def _identity(
        self, detector: str, variant: Variant, thresholds: Sequence[float], policies: Sequence[str]
    ) -> dict[str, Any]:
        return {
            "detector": detector,
            "classifier": self.classifier.sha256,
            "policy": str(self.policy),
            "variant": variant,
            "thresholds": list(thresholds),
            "policies": list(policies),
            # between a box and its emotion, so that edited code is not answered from the file
            "code": code_digest(f"{__package__}.answers"),
        }

    def _progress(self, name: str) -> Callable[[int, int], None]:
        return lambda done, total: self.observer(f"{name} [{self.policy}]", done, total)


def _lay_out(run: RunFolder, dataset: Dataset) -> _Material:
    expected = run.document.dataset
    if dataset.fingerprint != expected.fingerprint:
        raise UsageError(
            f"{run.path} holds a run on {expected.name} (fingerprint {expected.fingerprint}), got {dataset.name} "
            f"({dataset.fingerprint}). Load the data set under the name of the run"
        )
    seen = run.images()
    usable = decoded_ids(seen)
    faces_of = {sample.image_id: sample.faces for sample in dataset.samples}
    faces = [faces_of[name] for name in usable]
    emotions = [one.emotions for one in faces if one.emotions is not None]
    if len(emotions) < len(faces):
        raise UsageError(
            f"{dataset.name} has no emotions, expected a label for each face. Run the detectors on expression-scenes"
        )
    boxes = replace(ImageBoxes.from_images([one.boxes for one in faces]), crowd=crowd_regions(faces))
    labels = np.concatenate([np.zeros(0, np.int8), *emotions])
    counted = (labels >= 0) & ~np.concatenate([np.zeros(0, np.bool_), *(one.ignore for one in faces)])
    if not counted.any():
        raise DataError(f"no face of {dataset.name} has one of the emotions {', '.join(EMOTIONS)}; nothing to score")
    images = Images(dataset.samples, int((seen["width"].astype(np.int64) * seen["height"]).max()))
    heights = boxes.boxes[:, 3] - boxes.boxes[:, 1]
    known = LabelledFaces(labels[counted], boxes.image[counted], heights[counted], len(usable))
    return _Material(run, lambda number: images.get(usable[number]), usable, boxes, counted, known)


def _describe(run: RunFolder, material: _Material) -> dict[str, Any]:
    stored = run.document.dataset
    shown = np.bincount(material.known.labels, minlength=len(EMOTIONS)).tolist()
    return {name: getattr(stored, name) for name in ("name", "coverage", "demo", "fingerprint")} | {
        "pictures": len(material.usable),
        "faces": len(material.known),
        "labels": dict(zip(EMOTIONS, shown, strict=True)),
    }


def _cells(run: RunFolder, specs: Sequence[str] | None) -> list[StoredCell]:
    done = [cell for cell in run.cells if cell.done]
    if specs is None:
        return done
    names = {name for cell in done for name in (cell.spec, cell.detector)}
    for spec in specs:
        if spec not in names:
            raise UsageError(f"{run.path} holds no finished detector {spec!r}. {did_you_mean(spec, names)}")
    return [cell for cell in done if {cell.spec, cell.detector} & set(specs)]


def _found(material: _Material, cell: StoredCell) -> FoundBoxes:
    """Return all boxes of a cell."""
    boxes, table = by_image(material.run.detections(cell), material.usable)
    points = None
    if _LANDMARKS[0] in table:
        points = table[_LANDMARKS].to_numpy(np.float32).reshape(-1, 5, 2)
    return FoundBoxes(boxes, table["score"].to_numpy(), points)


def _say_nothing(name: str, done: int, total: int) -> None:
    """Say nothing."""
