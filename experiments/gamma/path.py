"""Outcomes of a price path, sampled at every step."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

SAMPLE_SECONDS = 600.0
"""Returns of volatility: one-minute returns are mostly spread bounce."""
MOMENTUM_SECONDS = 1800.0
"""Returns of momentum: half-hours, as in Barbon and Buraschi (2021)."""


def outcomes(mids: ArrayLike, dt_seconds: float) -> dict[str, float]:
    """Volatility, drawdown, run-up, momentum and the whole move of a path.

    Args:
        mids: float64[n + 1], mids after 0 .. n steps, any unit.
        dt_seconds: seconds per step.

    Returns:
        ``realised_volatility``, per square root of a day of 24 hours, from ten-minute log returns; ``drawdown_mid`` and
        ``run_up``, largest fall from an earlier high and rise from an earlier low, as shares of those; ``momentum``,
        the lag-one autocorrelation of half-hour log returns (not demeaned); ``move``, last over first less one.
        NaN where the path is too short.
    """
    logs = np.log(np.asarray(mids, np.float64))
    short = returns(logs, SAMPLE_SECONDS / dt_seconds)
    days = len(short) * SAMPLE_SECONDS / 86_400.0
    return {
        "realised_volatility": math.sqrt(float(short @ short) / days) if len(short) else math.nan,
        "drawdown_mid": float(1.0 - np.exp(np.min(logs - np.maximum.accumulate(logs)))),
        "run_up": float(np.exp(np.max(logs - np.minimum.accumulate(logs))) - 1.0),
        "momentum": autocorrelation(returns(logs, MOMENTUM_SECONDS / dt_seconds)),
        "move": float(np.exp(logs[-1] - logs[0]) - 1.0),
    }


def returns(logs: NDArray[np.float64], steps: float) -> NDArray[np.float64]:
    """Returns over as many whole steps (at least one), without overlap, from the first on."""
    return np.diff(logs[:: max(1, round(steps))])


def autocorrelation(found: NDArray[np.float64]) -> float:
    """Sum of products of neighbours over the sum of squares, times n / (n - 1); NaN where nothing moves."""
    square = float(found @ found)
    if len(found) < 3 or square == 0.0:
        return math.nan
    return float(found[1:] @ found[:-1]) / square * len(found) / (len(found) - 1)
