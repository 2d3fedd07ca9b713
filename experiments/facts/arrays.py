"""What every estimator needs: finite values, logarithms, a mean, a line, a correlation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LEAST_PAIRS = 30
"""Fewest pairs of observations for a correlation."""


def log_prices(prices: ArrayLike) -> Array:
    """Logarithms; NaN where a price is missing or not above zero."""
    values = np.asarray(prices, np.float64)
    return np.log(np.where(values > 0, values, np.nan))


def finite(x: ArrayLike) -> Array:
    """The finite values."""
    values = np.asarray(x, np.float64)
    return values[np.isfinite(values)]


def correlation(a: Array, b: Array) -> float:
    """Correlation over the pairs that exist; NaN with fewer than thirty of them or no variance."""
    known = np.isfinite(a) & np.isfinite(b)
    x, y = a[known], b[known]
    if len(x) < LEAST_PAIRS or not (x.std() > 0 and y.std() > 0):
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def line(x: Array, y: Array) -> tuple[float, float, float]:
    """Slope, intercept and standard error of the slope by least squares."""
    from scipy import stats

    found: Any = stats.linregress(x, y)
    return float(found.slope), float(found.intercept), float(found.stderr)


def mean_of(values: Iterable[float]) -> float:
    """Mean of the finite values; NaN where there are none."""
    known = finite(np.array(list(values)))
    return float(known.mean()) if len(known) else math.nan
