"""Estimators of the stylised facts: pure functions of arrays that pass over NaN.

A function returns NaN where a series is too short for it: an estimate is never guessed. Tails and scaling stand in
files of their own and are found here too.

Reference:
    Bouchaud, J.-P., Matacz, A. and Potters, M. (2001). Leverage effect in financial markets. PRL 87, 228701.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.facts.arrays import LEAST_PAIRS, Array, correlation, finite, line, log_prices, mean_of
from experiments.facts.scaling import Scaling, hurst
from experiments.facts.tails import LEAST_TAIL, HillPlot, ShapeFit, Tail, TailFit, hill, hill_plot, tail_gpd, tail_ml

__all__ = [
    "DECADE", "LEAST_PAIRS", "LEAST_RETURNS", "LEAST_TAIL", "Decay", "HillPlot", "Scaling", "ShapeFit", "Tail",
    "TailFit", "autocorrelation", "correlation", "hill", "hill_plot", "hurst", "kurtosis_by_horizon",
    "leverage_correlation", "leverage_effect", "mean_autocorrelation", "moves_and_volumes", "overlapping_returns",
    "power_decay", "return_volatility", "returns", "tail_gpd", "tail_ml", "volatility_signature", "volume_volatility",
]  # fmt: skip

DECADE = 10.0
"""Ratio of last to first lag that the fit of a decay needs."""
LEAST_RETURNS = 100
"""Fewest returns for an autocorrelation, a leverage effect or a kurtosis."""


def returns(mid: ArrayLike, k: int = 1, *, offset: int = 0, session: ArrayLike | None = None) -> Array:
    """Logarithmic returns over k steps that do not overlap.

    Args:
        mid: prices, float[n].
        k: steps of a return.
        offset: prices left out at the start (of every session).
        session: number of the session of each price, int[n]; returns across two sessions are not taken, and NaN
            stands between the returns of two sessions.

    Returns:
        float64[m]; NaN where a price is missing or not above zero.

    Examples:
        >>> returns([1.0, 2.0, 4.0, 8.0, 16.0], 2).round(4)
        array([1.3863, 1.3863])
    """
    level = log_prices(mid)
    if session is None:
        return np.diff(level[offset::k])
    number = np.asarray(session)
    starts = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
    parts: list[Array] = []
    for i, first in enumerate(starts):
        last = starts[i + 1] if i + 1 < len(starts) else len(level)
        parts += [np.diff(level[first + offset : last : k]), np.array([np.nan])]
    return np.concatenate(parts[:-1]) if parts else np.empty(0)


def overlapping_returns(mid: ArrayLike, k: int = 1, *, session: ArrayLike | None = None) -> Array:
    """Logarithmic returns over k steps from every step, float64[n - k]; NaN across sessions."""
    level = log_prices(mid)
    if len(level) <= k:
        return np.empty(0)
    found = level[k:] - level[:-k]
    if session is not None:
        number = np.asarray(session)
        found[number[k:] != number[:-k]] = np.nan
    return found


def autocorrelation(x: ArrayLike, lags: int | Iterable[int]) -> Array:
    """Autocorrelation at lags: mean product of deviations over the pairs that exist, over the variance.

    Args:
        x: float[n]; pairs with NaN are left out.
        lags: lags, or the number of them (1 to that).

    Returns:
        float64[number of lags]; NaN with fewer than 100 observations, thirty pairs or no variance.
    """
    series = np.asarray(x, np.float64)
    at = range(1, lags + 1) if isinstance(lags, int | np.integer) else list(lags)
    known = np.isfinite(series)
    found = np.full(len(at), np.nan)
    if known.sum() < LEAST_RETURNS:
        return found
    deviation = np.where(known, series - series[known].mean(), 0.0)
    variance = float(deviation @ deviation) / int(known.sum())
    if not variance > 0.0:
        return found
    complete = bool(known.all())
    for i, lag in enumerate(at):
        if not 0 <= lag < len(series):
            continue
        end = len(series) - lag
        pairs = end if complete else int(np.count_nonzero(known[:end] & known[lag:]))
        if pairs >= LEAST_PAIRS:
            found[i] = float(deviation[:end] @ deviation[lag:]) / pairs / variance
    return found


def mean_autocorrelation(x: ArrayLike, lags: Sequence[int], width: float = 0.1) -> Array:
    """Autocorrelation averaged over the lags within a share of each lag: less noise where it changes slowly.

    Args:
        x: float[n].
        lags: centres.
        width: share of the centre on either side; 0.1 averages lags 54 to 66 about 60.
    """
    windows = [range(max(1, math.ceil(lag * (1 - width))), math.floor(lag * (1 + width)) + 1) for lag in lags]
    wanted = sorted({lag for window in windows for lag in window})
    value = dict(zip(wanted, autocorrelation(x, wanted), strict=True))
    return np.array([mean_of([value[lag] for lag in window]) for window in windows])


class Decay(NamedTuple):
    """A power law c / lag**exponent fitted to an autocorrelation function.

    Attributes:
        exponent: of the decay, NaN where too little stands above the noise.
        se: standard error of the regression (it takes lags as independent, so it is too small).
        scale: c.
        lags: centres of the bins that were used.
        values: mean autocorrelation in each.
    """

    exponent: float
    se: float
    scale: float
    lags: Array
    values: Array


def power_decay(lags: ArrayLike, acf: ArrayLike, *, noise: float = 0.0, bins: int = 12, least: int = 4) -> Decay:
    """Exponent of a power-law decay: least squares of log mean autocorrelation on log lag, over logarithmic bins.

    Averaging before taking logarithms keeps the negative values that noise makes; bins from the first one on that is
    not above the noise are left out, since a logarithm of noise tells nothing. What is left must span a decade of lags:
    a correlation that is gone after a few lags has no exponent.

    Args:
        lags: lags of ``acf``, above zero.
        acf: autocorrelations.
        noise: standard error of a single autocorrelation (one over the square root of the number of observations).
        bins: logarithmic bins between first and last lag.
        least: fewest bins for a fit.
    """
    lag, value = np.asarray(lags, np.float64), np.asarray(acf, np.float64)
    kept = np.isfinite(value) & (lag > 0)
    lag, value = lag[kept], value[kept]
    nothing = Decay(math.nan, math.nan, math.nan, np.empty(0), np.empty(0))
    if len(lag) < least:
        return nothing
    edges = np.geomspace(lag[0] * 0.999, lag[-1] * 1.001, bins + 1)
    place = np.clip(np.searchsorted(edges, lag, side="right") - 1, 0, bins - 1)
    centre, mean, count = [], [], []
    for b in np.unique(place):
        inside = place == b
        centre.append(math.exp(float(np.log(lag[inside]).mean())))
        mean.append(float(value[inside].mean()))
        count.append(int(inside.sum()))
    x, y, n = np.array(centre), np.array(mean), np.array(count)
    low = y <= np.maximum(2.0 * noise / np.sqrt(n), 0.0)
    use = int(np.argmax(low)) if low.any() else len(y)
    if use < least or x[use - 1] < DECADE * x[0]:
        return nothing
    x, y = x[:use], y[:use]
    slope, intercept, se = line(np.log(x), np.log(y))
    return Decay(-slope, se, math.exp(intercept), x, y)


def kurtosis_by_horizon(mid: ArrayLike, horizons: Sequence[int], *, session: ArrayLike | None = None) -> Array:
    """Excess kurtosis of overlapping returns at horizons in steps; NaN with fewer than 100 separate returns."""
    from scipy import stats

    found = np.full(len(horizons), np.nan)
    for i, k in enumerate(horizons):
        sample = finite(overlapping_returns(mid, k, session=session))
        if len(sample) >= LEAST_RETURNS * k and sample.std() > 0:
            found[i] = float(stats.kurtosis(sample))
    return found


def volatility_signature(mid: ArrayLike, horizons: Sequence[int], *, session: ArrayLike | None = None) -> Array:
    """Volatility per square root of a step, measured with returns over each horizon in steps.

    Flat for a random walk; falling where prices bounce, rising where they trend. Root of the mean square of overlapping
    returns over the horizon's length.
    """
    found = np.full(len(horizons), np.nan)
    for i, k in enumerate(horizons):
        sample = finite(overlapping_returns(mid, k, session=session))
        if len(sample) >= LEAST_PAIRS * k:
            found[i] = math.sqrt(float(np.mean(sample**2)) / k)
    return found


def leverage_effect(x: ArrayLike, lags: int | Iterable[int]) -> Array:
    """Leverage function L(lag) = E[r(t) r(t + lag)**2] / E[r**2]**2 (Bouchaud, Matacz and Potters 2001, eq. 1).

    Negative where falls are followed by volatility. Returns are centred, so that a drift does not count.
    """
    series = np.asarray(x, np.float64)
    at = range(1, lags + 1) if isinstance(lags, int | np.integer) else list(lags)
    known = np.isfinite(series)
    found = np.full(len(at), np.nan)
    if known.sum() < LEAST_RETURNS:
        return found
    r = np.where(known, series - series[known].mean(), 0.0)
    square = float(np.mean(r[known] ** 2))
    for i, lag in enumerate(at):
        end = len(r) - lag
        pairs = int(np.count_nonzero(known[:end] & known[lag:])) if end > 0 else 0
        if pairs >= LEAST_RETURNS and square > 0:
            found[i] = float(r[:end] @ r[lag:] ** 2) / pairs / square**2
    return found


def leverage_correlation(x: ArrayLike, lags: int = 10) -> float:
    """Mean correlation of a return with absolute returns one to ``lags`` steps later: bounded, so robust to one day."""
    series = np.asarray(x, np.float64)
    if len(finite(series)) < LEAST_RETURNS:
        return math.nan
    return mean_of([return_volatility(series, lag) for lag in range(1, lags + 1)])


def return_volatility(x: ArrayLike, lag: int) -> float:
    """Correlation of a return with the absolute return ``lag`` steps later."""
    series = np.asarray(x, np.float64)
    return correlation(series[:-lag], np.abs(series[lag:]))


def moves_and_volumes(
    mid: ArrayLike, volume: ArrayLike, k: int = 1, *, session: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Absolute returns over intervals of k steps that do not overlap, and what was traded in each.

    Args:
        mid: prices, float[n].
        volume: volume of each step, float[n].
        k: steps of an interval.
        session: number of the session of each step; an interval across two has a return of NaN.
    """
    moved = np.abs(overlapping_returns(mid, k, session=session))[::k]
    total = np.concatenate(([0.0], np.nancumsum(np.asarray(volume, np.float64))))
    traded = (total[k + 1 :] - total[1:-k])[::k]  # of the steps after the first price, as the return
    return moved, traded


def volume_volatility(mid: ArrayLike, volume: ArrayLike, k: int = 1, *, session: ArrayLike | None = None) -> float:
    """Correlation of absolute return and volume (:func:`moves_and_volumes`)."""
    moved, traded = moves_and_volumes(mid, volume, k, session=session)
    return correlation(moved, traded)
