"""The tables of a run as the arrays that `scoring` takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..scoring import PictureBoxes

_BOX = ["x1", "y1", "x2", "y2"]


def by_picture(table: pd.DataFrame, image_ids: Sequence[str]) -> tuple[PictureBoxes, pd.DataFrame]:
    """Lay the boxes of a table out picture by picture, in the order of `image_ids`; others are dropped."""
    place = pd.Index(list(image_ids), dtype="object").get_indexer(pd.Index(table["image_id"], dtype="object"))
    order = np.argsort(place, kind="stable")[np.count_nonzero(place < 0) :]
    table = table.iloc[order]
    counts = np.bincount(place[order], minlength=len(image_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return PictureBoxes(table[_BOX].to_numpy(dtype=np.float64), offsets), table
