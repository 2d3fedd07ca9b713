"""Measures of one margin series beside the price that it margins.

A margin series is what a portfolio that never changes must hold, as a fraction of its value, at equally spaced times.
Peak to trough and n-day increases are those of Murphy, Vasios and Vause (2014), An investigation into the
procyclicality of risk-based initial margin models, Bank of England Financial Stability Paper 29.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from margin.backtests.procyclicality import largest_call, largest_increase, peak_to_trough, volatility_of_margin

LONGEST_LAG = 24
"""Samples by which a series is led or lagged at most."""

STILL = 5e-3
"""A margin within half a percent of itself stands still: requirements are rounded up to minor units, position by
position, and marks are read again after margins were published."""

Floats = NDArray[np.float64]


def reaction(margin: ArrayLike, horizons: Mapping[str, int]) -> dict[str, float]:
    """How much a margin moves.

    Args:
        margin: float64[n], positive.
        horizons: samples by name, such as ``{"1d": 144}``.

    Returns:
        ``mean_margin``; ``peak_to_trough``; ``margin_volatility``, standard deviation of the log change between
        samples; ``rise_H``, largest relative increase within H, and ``unit_call_H``, the same as a fraction of value.
        NaN where the series is not longer than H.

    Examples:
        >>> found = reaction([0.02, 0.04, 0.03], {"1d": 1})
        >>> found["peak_to_trough"], found["rise_1d"], found["unit_call_1d"]
        (2.0, 1.0, 0.02)
    """
    series = np.asarray(margin, float)
    found = {
        "mean_margin": float(series.mean()),
        "peak_to_trough": peak_to_trough(series),
        "margin_volatility": volatility_of_margin(series),
    }
    for name, samples in horizons.items():
        found[f"rise_{name}"] = largest_increase(series, samples)
        found[f"unit_call_{name}"] = largest_call(series, samples)
    return found


def coverage(margin: ArrayLike, log_price: ArrayLike, period: int) -> dict[str, float]:
    """How often, and by how much, the loss of one long unit over the margin period of risk was above its margin.

    Periods are consecutive and do not overlap, so that they can be counted as independent trials.

    Args:
        margin: float64[n], fraction of value, known at the start of each period.
        log_price: float64[n].
        period: samples of the margin period of risk.

    Returns:
        ``periods``; ``exceedance_rate``; ``uncovered_loss``, mean over all periods of what a loss was above margin,
        as a fraction of value. NaN where the series holds no period.
    """
    held, price = np.asarray(margin, float), np.asarray(log_price, float)
    starts = np.arange(0, len(price) - period, period)
    if len(starts) == 0:
        return {"periods": 0.0, "exceedance_rate": math.nan, "uncovered_loss": math.nan}
    beyond = -np.expm1(price[starts + period] - price[starts]) - held[starts]
    return {
        "periods": float(len(starts)),
        "exceedance_rate": float(np.mean(beyond > 0.0)),
        "uncovered_loss": float(np.mean(np.maximum(beyond, 0.0))),
    }


def realised_volatility(log_price: ArrayLike, window: int) -> Floats:
    """Root mean square of the last ``window`` changes of a log price, float64[n]; NaN where there are fewer."""
    squares = np.diff(np.asarray(log_price, float)) ** 2
    found = np.full(len(squares) + 1, np.nan)
    if len(squares) >= window:
        sums = np.concatenate([[0.0], np.cumsum(squares)])
        found[window:] = np.sqrt(np.maximum(sums[window:] - sums[:-window], 0.0) / window)
    return found


def cross_correlation(x: ArrayLike, y: ArrayLike, lags: Sequence[int]) -> Floats:
    """Correlation of ``x[t + lag]`` with ``y[t]`` for each lag, NaN where one of them stands still or is too short.

    A peak at a positive lag: x follows y.

    Args:
        x: float64[n]; pairs with a NaN are left out.
        y: float64[n].
        lags: in samples.

    Examples:
        >>> y = [0.0, 1.0, 0.0, 2.0, 1.0, 3.0, 0.0, 1.0]
        >>> cross_correlation([0.0, *y[:-1]], y, [0, 1]).round(2).tolist()
        [-0.24, 1.0]
    """
    a, b = np.asarray(x, float), np.asarray(y, float)
    found = np.full(len(lags), np.nan)
    for k, lag in enumerate(lags):
        later, earlier = (a[lag:], b[: len(b) - lag]) if lag >= 0 else (a[:lag], b[-lag:])
        known = np.isfinite(later) & np.isfinite(earlier)
        if known.sum() < 5:
            continue
        p, q = later[known], earlier[known]
        # a constant series has a spread of rounding errors only
        if np.ptp(p) <= 1e-12 * np.abs(p).max() or np.ptp(q) <= 1e-12 * np.abs(q).max():
            continue
        found[k] = np.corrcoef(p, q)[0, 1]
    return found


def lead_lag(margin: ArrayLike, log_price: ArrayLike, window: int, longest: int = LONGEST_LAG) -> dict[str, Floats]:
    """How a margin moves with volatility and with the price, led and lagged.

    Args:
        margin: float64[n], positive.
        log_price: float64[n].
        window: changes that realised volatility is taken over.
        longest: samples of the largest lead and lag.

    Returns:
        ``lags``, in samples; ``volatility``: correlation of log margin, lag samples later, with the log of realised
        volatility; ``price``: correlation of the log change of margin, lag samples later, with the log return. A
        negative ``price`` at lags from 0 on: margin rises after falls. At lags below 0: falls after margin rose.
    """
    log_margin = np.log(np.asarray(margin, float))
    if np.ptp(log_margin) < STILL:
        log_margin = np.full(len(log_margin), np.nan)
    spread = realised_volatility(log_price, window)
    with np.errstate(divide="ignore"):
        log_spread = np.where(spread > 0.0, np.log(np.where(spread > 0.0, spread, 1.0)), np.nan)
    lags = np.arange(-longest, longest + 1)
    returns = np.diff(np.asarray(log_price, float))
    return {
        "lags": lags.astype(float),
        "volatility": cross_correlation(log_margin, log_spread, lags.tolist()),
        "price": cross_correlation(np.diff(log_margin), returns, lags.tolist()),
    }


def peak_lag(lags: ArrayLike, correlation: ArrayLike) -> float:
    """The lag at which a correlation is largest in size, NaN where there is none."""
    values = np.abs(np.asarray(correlation, float))
    if not np.isfinite(values).any():
        return math.nan
    return float(np.asarray(lags, float)[int(np.nanargmax(values))])


def band(table: ArrayLike, confidence: float = 0.95) -> dict[str, list[float | None]]:
    """Mean over seeds of each point of a path, with Student's t interval; undefined ends are None.

    Args:
        table: float64[seeds, points]; NaN is left out.
        confidence: level of each interval, point by point.

    Returns:
        ``mean``, ``low``, ``high``: one number per point.
    """
    from scipy import stats

    values = np.asarray(table, float)
    known = np.isfinite(values)
    n = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / n
        spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / (n - 1))
        half = np.where(n > 1, stats.t.ppf(0.5 + confidence / 2.0, np.maximum(n - 1, 1)) * spread / np.sqrt(n), np.nan)
    rows = {"mean": mean, "low": mean - half, "high": mean + half}
    return {key: [float(f"{v:.12g}") if math.isfinite(v) else None for v in row.tolist()] for key, row in rows.items()}


def call_share(amount: ArrayLike, liquid: ArrayLike, samples: int, held: ArrayLike | None = None) -> float:
    """Largest growth of an amount within a number of samples, over the liquid assets when it began.

    Args:
        amount: float64[n], cumulative amounts of margin calls; or margin per unit of value, with ``held``.
        liquid: float64[n], liquid assets of those who can be called; NaN where they have none.
        samples: length of the span.
        held: float64[n], value of what they hold: the growth is that of the margin on what was held at the start.

    Examples:
        >>> call_share([0, 0, 5, 9], [100, 50, 40, 20], 2)
        0.18
        >>> call_share([0.25, 0.5], [50, 50], 1, held=[100, 0])
        0.5
    """
    series, assets = np.asarray(amount, float), np.asarray(liquid, float)
    if len(series) <= samples:
        return math.nan
    asked, able = series[samples:] - series[:-samples], assets[:-samples]
    if held is not None:
        asked = np.maximum(asked, 0.0) * np.asarray(held, float)[:-samples]
    begun = int(np.argmax(asked))
    return float(asked[begun] / able[begun]) if able[begun] > 0.0 else (0.0 if asked[begun] <= 0.0 else math.nan)
