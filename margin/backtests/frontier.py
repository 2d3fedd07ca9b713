"""Which models nobody needs: the frontier of cost, procyclicality and coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def dominating(objectives: npt.ArrayLike) -> list[int]:
    """For each row, a row that is at least as good in every column and better in one, or -1 where there is none.

    Args:
        objectives: float64[m, k], smaller is better; NaN counts as the worst.

    Returns:
        Index of the dominating row with the smallest sum of ranks, -1 for rows on the frontier.

    Examples:
        >>> dominating([[1.0, 3.0], [2.0, 1.0], [2.0, 3.5]])
        [-1, -1, 0]
    """
    table = np.asarray(objectives, float)
    table = np.where(np.isnan(table), np.inf, table)
    ranks = (table[:, None, :] > table[None, :, :]).sum(axis=(1, 2))
    found = []
    for row in table:
        better = np.all(table <= row, axis=1) & np.any(table < row, axis=1)
        candidates: Sequence[int] = np.flatnonzero(better).tolist()
        found.append(min(candidates, key=lambda i: (ranks[i], i)) if candidates else -1)
    return found
