"""Tails along a series: what a sample of past returns asks, and losses over several days.

Quantiles of a sample interpolate linearly between order statistics, the n values standing at 0, 1/(n-1), ..., 1.
Expected shortfall of a sample is the mean of the order statistics at or below that quantile.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from margin.historical import tail_place

Measure = Literal["var", "es"]
_CHUNK = 512  # windows sorted at a time


def rolling_tail(values: np.ndarray, window: int, probability: float, measure: Measure) -> np.ndarray:
    """Loss at the lower tail of the ``window`` values before each place.

    Args:
        values: float64[n], NaN at the beginning where there are none yet.
        window: values that count, at least 2.
        probability: of the tail, such as 0.01.
        measure: quantile or expected shortfall.

    Returns:
        float64[n]; element i is computed from ``values[i - window : i]``, NaN where these are not complete. Positive
        where the tail is a loss.
    """
    found = np.full(len(values), np.nan)
    if len(values) <= window:
        return found
    windows = np.lib.stride_tricks.sliding_window_view(values[:-1], window)
    count, part = tail_place(window, probability)
    needed = [count - 1, min(count, window - 1)]
    for begin in range(0, len(windows), _CHUNK):
        ordered = np.partition(windows[begin : begin + _CHUNK], needed, axis=1)
        if measure == "es":
            tail = ordered[:, :count].mean(axis=1)
        else:
            below, above = ordered[:, needed[0]], ordered[:, needed[1]]
            tail = below + part * (above - below)
        found[window + begin : window + begin + len(tail)] = -tail
    incomplete = np.flatnonzero(np.isnan(values))
    if len(incomplete):
        found[: incomplete[-1] + 1 + window] = np.nan
    return found


def liquidation_weights(days: int, linear: bool) -> np.ndarray:
    """Part of a position that is still held on each day of its liquidation, float64[days].

    Args:
        days: margin period of risk, at least 1.
        linear: True where one part in ``days`` is sold at the end of each day, False where all is held to the last.

    The root of the sum of squares is what a daily volatility is multiplied by: ``sqrt(T)``, or under linear
    liquidation ``sqrt((T + 1)(2 T + 1) / (6 T))``.

    Examples:
        >>> weights = liquidation_weights(5, linear=True)
        >>> round(float((weights**2).sum()), 6), 6 * 11 / (6 * 5)
        (2.2, 2.2)
    """
    return np.arange(days, 0, -1) / days if linear else np.ones(days)


def horizon_losses(returns: np.ndarray, weights: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """Weighted sums of consecutive returns, by their first one.

    Args:
        returns: float64[n].
        weights: float64[h], from :func:`liquidation_weights`.
        scale: float64[n] that each return is divided by first (its own volatility), or None.

    Returns:
        float64[n]; element i is the sum of ``weights[j] * returns[i + j]``, NaN for the last h - 1.
    """
    steps = returns if scale is None else returns / scale
    total = np.full(len(steps), np.nan)
    kept = len(steps) - len(weights) + 1
    if kept > 0:
        total[:kept] = sum(weight * steps[j : j + kept] for j, weight in enumerate(weights.tolist()))
    return total
