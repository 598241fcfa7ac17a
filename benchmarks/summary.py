"""The table of a run: one row a cell, scored from what is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .latency import LatencySummary, summarise
from .results import RunFolder
from .scoring import PictureBoxes, Scores, score

_BOX = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True, slots=True)
class Row:
    """One cell, scored.

    Attributes:
        cell: as stored in run.json.
        scores: None unless the cell is done.
        latency: of the whole `detect` call, None unless the cell is done and was measured.
    """

    cell: Mapping[str, Any]
    scores: Scores | None
    latency: LatencySummary | None

    @property
    def done(self) -> bool:
        """Whether there is anything to rank."""
        return self.scores is not None

    def exact_ap(self, list_name: str) -> float:
        """Exact AP on one list or "overall"; nan where the cell is not done."""
        if self.scores is None:
            return math.nan
        return (self.scores.overall if list_name == "overall" else self.scores.lists[list_name]).exact_ap

    def official_ap(self, list_name: str) -> float:
        """Official AP on one list or "overall"; nan where the cell is not done."""
        if self.scores is None:
            return math.nan
        return (self.scores.overall if list_name == "overall" else self.scores.lists[list_name]).official_ap

    @property
    def cold_start_s(self) -> float:
        """Seconds from the call until the first result: spawn, imports, loading, first call."""
        start = self.cell.get("start") or {}
        return float(sum(start.get(name, math.nan) for name in ("spawn_s", "import_s", "load_s", "first_call_s")))


@dataclass(frozen=True, slots=True)
class Summary:
    """A run with its rows, best first.

    Attributes:
        run: the folder.
        rows: done cells by falling exact AP on `primary`, then by p50; then those that are not done.
        lists: names of the scored lists, or ("overall",).
        primary: the list that ranks: the last, which is the hardest.
        pictures: pictures scored.
        excluded: pictures that could not be decoded.
    """

    run: RunFolder
    rows: Sequence[Row]
    lists: tuple[str, ...]
    primary: str
    pictures: int
    excluded: int

    @property
    def scope(self) -> str:
        """What every number was measured on: data set, how much of it, what was left out, what it is good for."""
        dataset = self.run.document["dataset"]
        parts = [f"{dataset['name']}, {dataset['coverage']}"]
        if self.excluded:
            parts.append(f"{self.excluded} of them unreadable and left out for every detector")
        if dataset["demo"]:
            parts.append("a demonstration on two people, not a comparison")
        return "; ".join(parts)


def summarise_run(run: RunFolder) -> Summary:
    """Score every finished cell of a run.

    Raises:
        ResultsError: a table of the run is missing or damaged.
    """
    pictures, faces = run.pictures(), run.faces()
    usable = pictures.loc[pictures["verdict"] == "ok", "image_id"].tolist()
    annotated, faces = by_picture(faces, usable)
    ignore = faces["ignore"].to_numpy(dtype=bool)
    lists = tuple(run.document["dataset"]["lists"])
    masks = {name: faces[name].to_numpy() > 0 for name in lists}
    rows = []
    for cell in run.cells:
        if cell["status"] != "done":
            rows.append(Row(cell, None, None))
            continue
        boxes, found = by_picture(run.detections(cell), usable)
        scores = score(
            annotated,
            boxes,
            found["score"].to_numpy(),
            score_threshold=cell["start"]["operating_threshold"],
            ignore=ignore,
            lists=masks,
        )
        # predictions from a file have no timings
        latency = None if "predictions" in cell else summarise(run.timings(cell)["detect_ms"].to_numpy())
        rows.append(Row(cell, scores, latency))
    names = lists or ("overall",)
    rows.sort(key=lambda row: _rank(row, names[-1]))
    return Summary(run, rows, names, names[-1], len(usable), len(pictures) - len(usable))


def load_summary(path: Path) -> Summary:
    """Open a run folder and score it."""
    return summarise_run(RunFolder.open(path))


def _rank(row: Row, primary: str) -> tuple[bool, float, float, str]:
    ap = row.exact_ap(primary)
    speed = row.latency.p50_ms if row.latency else math.inf
    return not row.done, -ap if math.isfinite(ap) else math.inf, speed, row.cell["spec"]


def by_picture(table: pd.DataFrame, image_ids: Sequence[str]) -> tuple[PictureBoxes, pd.DataFrame]:
    """Lay the boxes of a table out picture by picture, in the order of `image_ids`; others are dropped."""
    places = {name: place for place, name in enumerate(image_ids)}
    place = table["image_id"].map(places)
    table = table[place.notna()]
    order = np.argsort(place.dropna().to_numpy(dtype=np.int64), kind="stable")
    table = table.iloc[order]
    counts = np.bincount(table["image_id"].map(places).to_numpy(dtype=np.int64), minlength=len(image_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return PictureBoxes(table[_BOX].to_numpy(dtype=np.float64), offsets), table
