"""Settings shared by all estimators, and the cleaning of samples and results."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 9_999
"""Bootstrap resamples and random sign flips; sign flips are exact while 2**n does not exceed this (13 seeds)."""
CONFIDENCE = 0.95
LEVEL = 0.05
"""Level of the tests, after correction."""
POWER = 0.8
GENERATOR_SEED = 20_081_015
"""Seed of the resampling generator."""
BATCH = 2_000_000
"""Resampled values held in memory at a time."""


def rounded(value: float | None) -> float | None:
    """Twelve significant digits, so that versions of libraries do not show; None where the value is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{float(value):.12g}")


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """Values over seeds as an array of one dimension, NaN and infinite ones left out.

    Raises:
        ValueError: If there is more than one dimension.
    """
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if array.ndim != 1:
        raise ValueError(f"values over seeds must be one-dimensional, got shape {array.shape}")
    return array[np.isfinite(array)]
