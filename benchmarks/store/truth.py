"""The tables of a run as the arrays that `scoring` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..scoring import PictureBoxes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .run_folder import RunFolder

_BOX = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The annotation of the pictures that were scored.

    Attributes:
        image_ids: of the pictures, in the order of the run.
        image_sizes: int64 (pictures, 2): width and height in pixels, 0 where they are not known.
        faces: all annotated boxes.
        table: faces.parquet in the order of `faces`.
        masks: list name, or "overall" for all that are not ignored -> bool (faces,): the faces that count.
    """

    image_ids: Sequence[str]
    image_sizes: NDArray[np.int64]
    faces: PictureBoxes
    table: pd.DataFrame
    masks: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, run: RunFolder) -> Truth:
        """Read it from a run."""
        return cls.of_tables(run.pictures(), run.faces(), run.document.dataset.lists)

    @classmethod
    def of_tables(cls, pictures: pd.DataFrame, faces: pd.DataFrame, lists: Sequence[str]) -> Truth:
        """Lay out what pictures.parquet and faces.parquet hold; the pictures are those that could be decoded."""
        scored = decoded(pictures)
        image_ids = scored["image_id"].tolist()
        boxes, table = by_picture(faces, image_ids)
        sizes = scored[["width", "height"]].to_numpy(dtype=np.int64)
        masks = {name: table[name].to_numpy() > 0 for name in lists}
        return cls(image_ids, sizes, boxes, table, {**masks, "overall": ~table["ignore"].to_numpy(dtype=bool)})

    def labels(self, name: str) -> NDArray[np.int64]:
        """Return an attribute of all faces: int64 (faces,)."""
        return self.table[name].to_numpy(dtype=np.int64)


def decoded(pictures: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of pictures.parquet whose picture could be decoded."""
    return pictures[pictures["verdict"] == "ok"]


def decoded_ids(pictures: pd.DataFrame) -> list[str]:
    """Return the ids of the pictures that could be decoded."""
    found: list[str] = decoded(pictures)["image_id"].tolist()
    return found


def by_picture(table: pd.DataFrame, image_ids: Sequence[str]) -> tuple[PictureBoxes, pd.DataFrame]:
    """Lay the boxes of a table out picture by picture, in the order of `image_ids`; others are dropped."""
    place = pd.Index(list(image_ids), dtype="object").get_indexer(pd.Index(table["image_id"], dtype="object"))
    order = np.argsort(place, kind="stable")[np.count_nonzero(place < 0) :]
    table = table.iloc[order]
    counts = np.bincount(place[order], minlength=len(image_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return PictureBoxes(table[_BOX].to_numpy(dtype=np.float64), offsets), table
