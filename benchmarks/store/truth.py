"""The tables of a run as the arrays that `scoring` takes: read once, and each cell matched once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..scoring import ImageBoxes, Matches, match
from ..scoring.operating_point import as_scores
from .sealed_tables import release_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .records import StoredCell
    from .run_folder import RunFolder

_BOX = ["x1", "y1", "x2", "y2"]
CROWD = "iscrowd"
"""Column of faces.parquet for crowd regions; there where the data set has any."""
_KEPT_BOXES = 5_000_000
"""As many boxes as a `RunReader` keeps, of some 90 bytes each; the cells beyond are read again."""


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """What a cell found in the images of a `Truth`, each box with the face that it overlaps most.

    Attributes:
        boxes: of any score, image by image.
        scores: (n,) of the boxes, in the precision that they are stored in.
        threshold: the cell's operating threshold, rounded as its scores are.
        matches: of the boxes with the faces, highest score first.
    """

    boxes: ImageBoxes
    scores: NDArray[np.floating]
    threshold: float
    matches: Matches


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The annotation of the images that were scored.

    Attributes:
        image_ids: of the images, in the order of the run.
        image_sizes: int64 (images, 2): width and height in pixels, 0 where they are not known.
        faces: all annotated boxes.
        table: the other columns of faces.parquet, in the order of `faces`.
        masks: list name, or "overall" for all that are not ignored -> bool (faces,): the faces that count.
    """

    image_ids: Sequence[str]
    image_sizes: NDArray[np.int64]
    faces: ImageBoxes
    table: pd.DataFrame
    masks: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def of_tables(cls, images: pd.DataFrame, faces: pd.DataFrame, lists: Sequence[str]) -> Truth:
        """Lay out what pictures.parquet and faces.parquet hold; the images are those that could be decoded."""
        scored = decoded(images)
        image_ids = scored["image_id"].tolist()
        boxes, table = by_image(faces, image_ids)
        sizes = scored[["width", "height"]].to_numpy(dtype=np.int64)
        masks = {name: table[name].to_numpy() > 0 for name in lists}
        masks["overall"] = ~table["ignore"].to_numpy(dtype=bool)
        crowd = crowd_of(table)
        if crowd is not None:
            boxes, masks = replace(boxes, crowd=crowd), {name: mask & ~crowd for name, mask in masks.items()}
        return cls(image_ids, sizes, boxes, table.drop(columns=["image_id", *_BOX]), masks)

    def matched(self, cell: StoredCell, detections: pd.DataFrame) -> Matched:
        """Match what a finished cell found, a table as in detections.parquet."""
        boxes, table = by_image(detections, self.image_ids)
        scores = table["score"].to_numpy(copy=True)
        # the tables of a large run go before matching needs as much
        del detections, table
        release_memory()
        threshold = as_scores(cell.operating_threshold, scores)
        return Matched(boxes, scores, threshold, match(self.faces, boxes, scores))

    def labels(self, name: str) -> NDArray[np.int64]:
        """Return an attribute of all faces: int64 (faces,)."""
        return self.table[name].to_numpy(dtype=np.int64)


class RunReader:
    """Reads the tables of a run for scoring, and matches its cells, each once.

    Attributes:
        run: the folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._kept: dict[str, Matched] = {}

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image, as in pictures.parquet."""
        return self.run.images()

    @cached_property
    def truth(self) -> Truth:
        """The annotation of the images that could be decoded."""
        return Truth.of_tables(self.images, self.run.faces(), self.run.document.dataset.lists)

    def matched(self, cell: StoredCell) -> Matched:
        """Return what a finished cell found.

        Raises:
            ResultsError: a table of the run is missing or damaged.
        """
        found = self._kept.get(cell.key)
        if found is None:
            found = self.truth.matched(cell, self.run.detections(cell))
            if sum(len(one.boxes) for one in (found, *self._kept.values())) <= _KEPT_BOXES:
                self._kept[cell.key] = found
        return found


def crowd_of(faces: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Return which rows of faces.parquet are crowd regions, bool (faces,); None where there are none."""
    # a column of numbers is an attribute that somebody named so
    if CROWD not in faces or faces[CROWD].dtype != np.bool_:
        return None
    return faces[CROWD].to_numpy()


def decoded(images: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of pictures.parquet whose image could be decoded."""
    return images[images["verdict"] == "ok"]


def decoded_ids(images: pd.DataFrame) -> list[str]:
    """Return the ids of the images that could be decoded."""
    found: list[str] = decoded(images)["image_id"].tolist()
    return found


def by_image(table: pd.DataFrame, image_ids: Sequence[str]) -> tuple[ImageBoxes, pd.DataFrame]:
    """Lay the boxes of a table out image by image, in the order of `image_ids`; others are dropped."""
    # a name is looked up once, not once a box
    number, names = pd.factorize(table["image_id"], use_na_sentinel=False)
    place = pd.Index(list(image_ids), dtype="object").get_indexer(pd.Index(names, dtype="object"))[number]
    if len(place) and (place[0] < 0 or (np.diff(place) < 0).any()):
        order = np.argsort(place, kind="stable")[np.count_nonzero(place < 0) :]
        table, place = table.iloc[order], place[order]
    counts = np.bincount(place, minlength=len(image_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ImageBoxes(table[_BOX].to_numpy(dtype=np.float64), offsets), table
