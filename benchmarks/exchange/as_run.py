"""Predictions as a run folder, so that table, report and comparison treat them as a detector without timings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...datasets import Dataset
from ...datasets.box_format import BoxFormat, are_tiny
from ...detectors import UNKNOWN, DetectorInfo, ScoreKind
from ...errors import DataError, UsageError
from ..analysis.other_reading import Evidence, other_reading, spread
from ..measure.images import faces_table, new_document
from ..store.locking import lock
from ..store.records import UNKNOWN_SIZE, PredictionsInfo, Protocol, Start, StoredCell
from ..store.run_folder import RunFolder, write_atomically
from ..store.sealed_tables import table_bytes
from .intake import image_size
from .predictions import BOX_FORMATS, Predictions

PROTOCOL = Protocol(UNKNOWN_SIZE)
"""How the images were given to the program: a file of predictions does not say."""
_EVERY_BOX = float(np.finfo(np.float32).min)
_FEW_SCORES = 101
_LOW, _MANY_BOXES = 0.05, 100
"""As many as scores of two decimals can take."""


def store_predictions(
    predictions: Predictions,
    dataset: Dataset,
    out: Path,
    *,
    name: str | None = None,
    threshold: float | None = None,
    score_kind: ScoreKind | None = None,
) -> RunFolder:
    """Write predictions into a run folder, beside others for the same data set, as one finished cell.

    A cell of the same name from the same file is replaced. From another file it stays: the new one is named by its
    folder too, or as many folders as tell the two apart.

    Args:
        predictions: what `read_predictions` returned for `dataset`.
        dataset: the images and their annotation.
        out: a new folder, or one that an earlier call wrote.
        name: of the row; by default that of the file.
        threshold: score of the operating point; by default 0.5 for probabilities, every box for other scores.
        score_kind: what the scores are; by default probabilities where all lie in 0 to 1, "none" where all are equal.

    Raises:
        UsageError: the folder holds a run of other images, or predictions of this `name` from another file; or the
            threshold is not a number.
        DataError: the scores are not of the kind.
        ResultsError: the folder cannot be written, or another process writes into it.
    """
    if threshold is not None and not np.isfinite(threshold):
        raise UsageError(f"got the threshold {threshold}, expected a finite number")
    kind = _score_kind(predictions, score_kind)
    if threshold is None:
        threshold = 0.5 if kind == "probability" else _EVERY_BOX
    table = _detections_table(predictions)
    with lock(out):
        folder = _open_or_create(dataset, out)
        name = _free_name(predictions, folder, name)
        cell = _cell(dataclasses.replace(predictions, name=name), dataset, table, threshold, kind)
        write_atomically(folder.cell_path(cell) / "detections.parquet", table_bytes(table))
        folder.put_cell(cell)
    return folder


def _free_name(predictions: Predictions, folder: RunFolder, wanted: str | None) -> str:
    """Return the name that is wanted, else that of the file, with its folders where another file has it already."""
    taken = {cell.spec: cell.predictions for cell in folder.cells if cell.predictions is not None}
    own = _path_hash(predictions)

    def is_free(name: str) -> bool:
        before = taken.get(name)
        if before is None:
            return True
        # what earlier versions wrote knows the source alone
        return before.path_hash == own if before.path_hash else before.source in (predictions.source, "")

    if wanted is None:
        parts = predictions.path.parts
        longer = ["/".join(parts[-length:]) for length in range(3, len(parts))]
        free = [name for name in (predictions.name, predictions.source, *longer) if is_free(name)]
    else:
        free = [wanted] if is_free(wanted) else []
    if not free:
        source = taken[wanted or predictions.name].source
        raise UsageError(
            f"{folder.path} holds {wanted or predictions.name} from another file ({source}); say by --name what "
            f"{predictions.source} is to be called"
        )
    return free[0]


def _path_hash(predictions: Predictions) -> str:
    if predictions.path == Path():
        return ""
    return hashlib.sha256(str(predictions.path).encode(errors="surrogateescape")).hexdigest()[:16]


def _score_kind(predictions: Predictions, wanted: ScoreKind | None) -> ScoreKind:
    scores = predictions.scores
    outside = scores[(scores < 0) | (scores > 1)]
    if wanted == "probability" and len(outside):
        raise DataError(
            f"Got {len(outside):,} scores outside 0 to 1 in {predictions.name}, such as {outside[0]:g}, expected "
            "probabilities. Say --score-kind margin if they are not"
        )
    if wanted is not None:
        return wanted
    if len(scores) > 1 and scores.min() == scores.max():
        return "none"
    return "margin" if len(outside) else "probability"


def _detections_table(predictions: Predictions) -> pd.DataFrame:
    """Lay all boxes out as detections.parquet, in the precision they came in."""
    rows = np.concatenate([np.empty((0, 5)), *predictions.rows.values()])
    ids = np.array(list(predictions.rows), dtype=object)
    return pd.DataFrame(
        {
            "image_id": np.repeat(ids, [len(some) for some in predictions.rows.values()]),
            **{name: rows[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2", "score"))},
        }
    )


def _cell(
    predictions: Predictions, dataset: Dataset, table: pd.DataFrame, threshold: float, kind: ScoreKind
) -> StoredCell:
    content = hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()).hexdigest()
    parameters: dict[str, Any] = {"format": predictions.format, "threshold": threshold, "score_kind": kind}
    if predictions.box_format not in (None, BOX_FORMATS[predictions.format]):
        parameters["box_format"] = str(predictions.box_format)
    key = hashlib.sha256(json.dumps([content, dataset.fingerprint, parameters]).encode()).hexdigest()[:16]
    scores = table["score"]
    floor = float(scores.min()) if len(scores) else 0.0
    return StoredCell(
        key=key,
        folder=re.sub(r"[^\w.=-]+", "_", predictions.name)[:60] + "-" + key,
        spec=predictions.name,
        detector="predictions",
        parameters=parameters,
        models={},
        code=content[:16],
        packages={},
        # where and on how many threads the program ran, nobody knows: what a table leaves out as usual
        protocol=PROTOCOL,
        device="cpu",
        threads=1,
        machine="unknown",
        info=DetectorInfo(
            name=predictions.name,
            family="predictions from a file",
            package="unknown",
            licence=UNKNOWN,
            score_kind=kind,
            devices=(),
            landmarks=False,
            operating_threshold=threshold,
            score_floor=floor,
            note="detections from a file: how they were made is not known",
        ),
        status="done",
        reason="detections from a file, without timings",
        start=Start(operating_threshold=threshold, score_floor=floor),
        predictions=PredictionsInfo(
            format=predictions.format,
            source=predictions.source,
            path_hash=_path_hash(predictions),
            images=len(predictions.rows),
            missing=len(predictions.missing),
            extra=len(predictions.extra),
            outside=predictions.outside,
            remarks=(*_remarks(predictions, scores.to_numpy()), *filter(None, [_meaning(predictions, dataset)])),
        ),
    )


def _remarks(predictions: Predictions, scores: np.ndarray[Any, np.dtype[np.float64]]) -> list[str]:
    """Say what must stand beside the numbers."""
    found = []
    if predictions.missing:
        found.append(f"{_images(len(predictions.missing))} missing, counted as without detections")
    if predictions.extra:
        found.append(f"{_images(len(predictions.extra))} too much, dropped")
    if predictions.silent:
        found.append(f"{_images(predictions.silent)} without a file, in which nothing was found")
    if predictions.outside:
        found.append(f"{_images(predictions.outside)} outside this part of the set, dropped")
    distinct = len(np.unique(scores))
    if 1 < distinct <= _FEW_SCORES and len(scores) > 10 * _FEW_SCORES:
        found.append(f"only {distinct} distinct scores (rounded?): ties cost AP")
    if len(scores) >= _MANY_BOXES and float(scores.min()) > _LOW and float(scores.max()) <= 1.0:
        found.append(f"no score below {scores.min():.2g}: AP counts as missed what lower ones would find")
    return found


def _meaning(predictions: Predictions, dataset: Dataset) -> str:
    """Say which other reading of the boxes, or else of the annotation, fits much better; "" where none does."""
    as_read = predictions.box_format
    if as_read is None:
        return ""
    samples = dataset.samples
    chosen = spread(len(samples), [i for i, sample in enumerate(samples) if not sample.faces.ignore.all()])

    def sizes() -> NDArray[np.float64]:
        found = [image_size(samples[i]) or (0, 0) for i in chosen]
        return np.array(found, np.float64).reshape(-1, 2)

    empty = np.empty((0, 5))
    evidence = Evidence(
        [samples[i].faces.boxes[~samples[i].faces.ignore].astype(np.float64) for i in chosen],
        [predictions.rows.get(samples[i].image_id, empty) for i in chosen],
        sizes,
    )
    where = f"on {len(chosen)} images with faces " if len(chosen) < len(samples) else ""
    if other := other_reading(evidence, found=as_read):
        return f"read as {as_read}; as {other.format} {where}{other.gain} (--box-format {other.format})"
    of_faces = BoxFormat.parse(dataset.box_format) if dataset.box_format else None
    if other := other_reading(evidence, faces=of_faces):
        return f"annotation read as {of_faces}; as {other.format} {where}{other.gain} (box_format={other.format})"
    boxes = np.concatenate([empty, *predictions.rows.values()])[:, :4]
    if not as_read.scale and are_tiny(boxes):
        return f"boxes have sides of at most 1 pixel: parts of the image? --box-format {as_read.layout}:1 reads them so"
    return ""


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _open_or_create(dataset: Dataset, out: Path) -> RunFolder:
    if (out / "run.json").exists():
        folder = RunFolder.open(out)
        stored = folder.document.dataset
        if stored.fingerprint != dataset.fingerprint:
            raise UsageError(
                f"{out} holds a run on {stored.name}; got predictions for {dataset.name}. Choose another --out"
            )
        return folder
    document = new_document(dataset)
    RunFolder(out, document).write_images(_images_table(dataset), faces_table(dataset.samples))
    return RunFolder.create(out, document)


def _images_table(dataset: Dataset) -> pd.DataFrame:
    """Lay the images out as pictures.parquet; sizes are 0 where nothing says them."""
    rows = []
    for sample in dataset.samples:
        # members of an archive are not opened for it
        size = image_size(sample) if isinstance(sample.source, Path) else sample.size
        rows.append((sample.image_id, "ok", "", *(size or (0, 0))))
    return pd.DataFrame(rows, columns=["image_id", "verdict", "detail", "width", "height"])
