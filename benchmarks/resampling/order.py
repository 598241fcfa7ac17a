"""Places and running sums in a list whose rows are repeated with their pictures, for many draws.

A draw of pictures repeats rows of a sorted list. To write out the running sum of every row in every draw costs draws
times rows; here it is kept at every 64th row alone, and the rows between are looked at where somebody asks. `Rows` are
laid out once; their `RunningSum` is for as many draws as the caller wants to hold at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 64
"""Rows between two places where the running sum is kept."""


class Rows:
    """A list of rows, each with its picture and a value.

    Args:
        picture: int64 (n,): the picture of each row.
        pictures: how many there are.
        values: float64 (n,): of one copy of each row; None counts the copies.

    Attributes:
        picture: int64 (blocks, 64), rows beyond the last among them.
        values: float64 (blocks, 64), 0 for those.
        by_picture: sparse (blocks, pictures): the sum of the values.
    """

    def __init__(self, picture: NDArray[np.int64], pictures: int, values: NDArray[np.float64] | None = None) -> None:
        from scipy.sparse import csr_array

        rows = len(picture)
        blocks = rows // _ROWS + 1
        values = np.ones(rows) if values is None else values
        beyond = (0, blocks * _ROWS - rows)
        self.picture, self.values = (np.pad(a, beyond).reshape(blocks, _ROWS) for a in (picture, values))
        self.by_picture: Any = csr_array((values, (np.arange(rows) // _ROWS, picture)), shape=(blocks, pictures))

    @property
    def numbers(self) -> int:
        """How many are kept of a draw."""
        return len(self.picture) + 1

    def under(self, weights: NDArray[np.integer]) -> RunningSum:
        """Return the running sums where each row stands as often as its picture, int (draws, pictures), is drawn."""
        return RunningSum(self, weights)


class RunningSum:
    """Sums of weighted values along `Rows`: what stands before a row, and which row stands at a place."""

    def __init__(self, rows: Rows, weights: NDArray[np.integer]) -> None:
        self._picture, self._values, self._weights = rows.picture, rows.values, weights
        ends = np.cumsum(rows.by_picture @ np.ascontiguousarray(weights.T, dtype=np.float64), axis=0)
        self._starts = np.vstack([np.zeros(len(weights)), ends]).T.copy()

    @property
    def total(self) -> NDArray[np.float64]:
        """The sum over all rows under each draw: float64 (draws,)."""
        return self._starts[:, -1]

    def before(self, row: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum over the rows before each, float64 (draws, k), for rows of (draws, k), 0 to n."""
        block = row // _ROWS
        is_before = np.arange(_ROWS) < (row % _ROWS)[..., None]
        inside = np.where(is_before, self._block(block), 0.0).sum(axis=-1)
        return np.asarray(np.take_along_axis(self._starts, block, axis=1) + inside)

    def at(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row that stands at each place, counted from 0 over all copies: int64 (draws, k).

        Only without `values`.

        Args:
            place: int64 (draws, k), from 0 to below the draw's total. Of a draw without any copy every place is row 0.
        """
        # One rising run over all draws, so that one look-up serves them all.
        totals_before = np.concatenate([[0.0], np.cumsum(self.total)[:-1]])[: len(place), None]
        blocks = self._starts.shape[1] - 1
        run = (self._starts[:, 1:] + totals_before).ravel()
        block = np.searchsorted(run, place + totals_before, side="right") - np.arange(len(place))[:, None] * blocks
        block = np.where(self.total[:, None] > 0, block, 0)
        running = np.cumsum(self._block(block), axis=-1) + np.take_along_axis(self._starts, block, axis=1)[..., None]
        row = block * _ROWS + np.count_nonzero(running <= place[..., None], axis=-1)
        return np.where(self.total[:, None] > 0, row, 0)

    def _block(self, block: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weighted values of the rows of blocks, float64 (draws, k, rows), for blocks of (draws, k)."""
        picture, values = self._picture[block], self._values[block]
        if self._weights.shape[1] == 0:
            return np.zeros(values.shape)
        first_of_draw = np.arange(len(block))[:, None, None] * self._weights.shape[1]
        return np.asarray(self._weights.ravel().take(first_of_draw + picture) * values)
