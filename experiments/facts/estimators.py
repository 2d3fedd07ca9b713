"""Estimators of the stylised facts: pure functions of arrays that pass over NaN.

A function returns NaN where a series is too short for it: an estimate is never guessed.

References:
    Hill, B. M. (1975). A simple general approach to inference about the tail of a distribution. Ann. Statist. 3(5).
    Clauset, A., Shalizi, C. R. and Newman, M. E. J. (2009). Power-law distributions in empirical data. SIAM Review
        51(4), 661-703 (threshold at the least Kolmogorov-Smirnov distance).
    Grimshaw, S. D. (1993). Computing maximum likelihood estimates for the generalized Pareto distribution.
        Technometrics 35(2), 185-191.
    Pickands, J. (1975). Statistical inference using extreme order statistics. Ann. Statist. 3(1), 119-131.
    Bouchaud, J.-P., Matacz, A. and Potters, M. (2001). Leverage effect in financial markets. PRL 87, 228701.
    Peng, C.-K. et al. (1994). Mosaic organization of DNA nucleotides. Phys. Rev. E 49, 1685 (detrended fluctuations).
    Hurst, H. E. (1951). Long-term storage capacity of reservoirs. Trans. ASCE 116, 770-808 (rescaled range).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LEAST_TAIL = 20
"""Fewest observations in a tail from which an exponent is estimated."""
DECADE = 10.0
"""Ratio of last to first lag that the fit of a decay needs."""
LEAST_PAIRS = 30
"""Fewest pairs of observations for a correlation."""
LEAST_RETURNS = 100
"""Fewest returns for a kurtosis or a variance at a horizon."""


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
    level = _log(mid)
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
    level = _log(mid)
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
        float64[number of lags]; NaN with fewer than thirty pairs or no variance.
    """
    series = np.asarray(x, np.float64)
    at = range(1, lags + 1) if isinstance(lags, int | np.integer) else list(lags)
    known = np.isfinite(series)
    found = np.full(len(at), np.nan)
    if known.sum() < LEAST_PAIRS:
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
    return np.array([_mean([value[lag] for lag in window]) for window in windows])


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
    slope, intercept, se = _line(np.log(x), np.log(y))
    return Decay(-slope, se, math.exp(intercept), x, y)


class Tail(NamedTuple):
    """A tail exponent.

    Attributes:
        alpha: exponent: P(|x| > u) falls as u**-alpha. NaN with fewer than twenty observations in the tail.
        se: standard error, observations taken as independent.
    """

    alpha: float
    se: float


def hill(x: ArrayLike, share: float = 0.05) -> Tail:
    """Hill's estimator over the largest share of absolute values.

    ``alpha = k / sum(log(x_(i) / x_(k+1)))`` over the k largest, standard error ``alpha / sqrt(k)``. It is exact for a
    Pareto tail only: for a Student t with three degrees of freedom the largest five per cent give about 2.6, for a
    normal law about 6, so it is compared at the same share on both sides of a comparison.

    Args:
        x: returns; for one tail pass that tail.
        share: of the observations that count as the tail.
    """
    size = _sizes(x)
    k = int(share * len(size))
    if k < LEAST_TAIL or len(size) <= k:
        return Tail(math.nan, math.nan)
    return _hill(size, k)


class HillPlot(NamedTuple):
    """Hill's estimate against the number of observations in the tail: a plateau is an estimate, a slope is bias.

    Attributes:
        shares: share of the observations in the tail.
        alpha: estimate at each.
        se: standard error of each.
    """

    shares: Array
    alpha: Array
    se: Array


def hill_plot(x: ArrayLike, shares: ArrayLike | None = None) -> HillPlot:
    """Hill's estimate over shares of the sample (by default forty from 0.5 to 20 %)."""
    at = np.geomspace(0.005, 0.2, 40) if shares is None else np.asarray(shares, np.float64)
    size = _sizes(x)
    found = []
    for share in at:
        k = int(share * len(size))
        found.append(_hill(size, k) if LEAST_TAIL <= k < len(size) else Tail(math.nan, math.nan))
    return HillPlot(at, np.array([t.alpha for t in found]), np.array([t.se for t in found]))


class TailFit(NamedTuple):
    """A tail fitted by maximum likelihood.

    Attributes:
        alpha: tail exponent.
        se: standard error.
        threshold: where the tail begins.
        share: of the observations above it.
        distance: Kolmogorov-Smirnov distance between tail and law.
    """

    alpha: float
    se: float
    threshold: float
    share: float
    distance: float


_NO_FIT = TailFit(math.nan, math.nan, math.nan, math.nan, math.nan)


def tail_ml(x: ArrayLike, *, most: float = 0.25, candidates: int = 80, least: int = 30) -> TailFit:
    """Pareto tail by maximum likelihood above the threshold at which it fits best.

    For every threshold the likelihood's maximum is Hill's estimate; the threshold taken is the one of least
    Kolmogorov-Smirnov distance (Clauset, Shalizi and Newman 2009, section 3.3).

    Args:
        x: returns; absolute values are used.
        most: largest share of the observations that may be the tail.
        candidates: thresholds tried, equally spaced in the logarithm of the number above.
        least: fewest observations in the tail.
    """
    size = _sizes(x)
    largest = int(most * len(size))
    if largest < least or len(size) <= largest:
        return _NO_FIT
    best = _NO_FIT
    for k in np.unique(np.geomspace(least, largest, candidates).astype(int)):
        fit = _hill(size, int(k))
        threshold = float(size[-k - 1])
        if not (math.isfinite(fit.alpha) and threshold > 0):
            continue
        law = 1.0 - (size[-k:] / threshold) ** -fit.alpha
        distance = _distance(law)
        if not best.distance <= distance:
            best = TailFit(fit.alpha, fit.se, threshold, k / len(size), distance)
    return best


class ShapeFit(NamedTuple):
    """A generalised Pareto law fitted to the excesses over a threshold.

    Attributes:
        shape: xi, one over the tail exponent; zero for an exponential tail, below zero for a bounded one.
        se: standard error of the shape.
        scale: sigma, in the unit of the observations.
        threshold: where the tail begins.
        share: of the observations above it.
        distance: Kolmogorov-Smirnov distance between tail and law.
    """

    shape: float
    se: float
    scale: float
    threshold: float
    share: float
    distance: float


def tail_gpd(x: ArrayLike, share: float = 0.1) -> ShapeFit:
    """Generalised Pareto law by maximum likelihood over the largest share of absolute values (Pickands 1975).

    Its scale is free, so that it has far less bias than Hill's estimate where the tail is a power law only in the
    limit, and more noise: the standard error of the shape is ``(1 + xi) / sqrt(k)``. The likelihood is maximised over
    theta = xi / sigma alone, since it is greatest at xi = mean(log(1 + theta y)) for a given theta (Grimshaw 1993).
    """
    from scipy import optimize, stats

    nothing = ShapeFit(*[math.nan] * 6)
    size = _sizes(x)
    k = int(share * len(size))
    if k < LEAST_TAIL or len(size) <= k:
        return nothing
    threshold = float(size[-k - 1])
    unit = float(np.mean(size[-k:] - threshold))
    if not unit > 0:
        return nothing
    excess = (size[-k:] - threshold) / unit

    def cost(theta: float) -> float:
        if abs(theta) < 1e-9:
            return 1.0  # the exponential law: log of a mean of one, plus one
        shape = float(np.mean(np.log1p(theta * excess)))
        return math.log(shape / theta) + shape + 1.0 if shape / theta > 0 else math.inf

    # bounded laws: at most to a shape of -1/2, where the maximum is regular; theta above -1/max(y) there
    lowest = -(1.0 - 1e-6) / float(excess[-1])
    grid = np.concatenate((np.linspace(lowest, 0.0, 40)[:-1], np.geomspace(1e-3, 50.0, 40)))
    costs = np.array([cost(float(theta)) for theta in grid])
    costs[[float(np.mean(np.log1p(theta * excess))) < -0.5 for theta in grid]] = math.inf
    i = int(np.argmin(costs))
    bracket = (float(grid[max(i - 1, 0)]), float(grid[min(i + 1, len(grid) - 1)]))
    theta = float(optimize.minimize_scalar(cost, bounds=bracket, method="bounded", options={"xatol": 1e-7}).x)
    shape = float(np.mean(np.log1p(theta * excess)))
    scale = shape / theta if abs(theta) > 1e-9 else 1.0
    distance = _distance(stats.genpareto.cdf(excess, shape, 0.0, scale))
    return ShapeFit(shape, (1.0 + shape) / math.sqrt(k), scale * unit, threshold, k / len(size), distance)


def kurtosis_by_horizon(mid: ArrayLike, horizons: Sequence[int], *, session: ArrayLike | None = None) -> Array:
    """Excess kurtosis of overlapping returns at horizons in steps; NaN with fewer than 100 separate returns."""
    from scipy import stats

    found = np.full(len(horizons), np.nan)
    for i, k in enumerate(horizons):
        sample = _finite(overlapping_returns(mid, k, session=session))
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
        sample = _finite(overlapping_returns(mid, k, session=session))
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
    return _mean([return_volatility(series, lag) for lag in range(1, lags + 1)])


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


class Scaling(NamedTuple):
    """A Hurst exponent with what it was fitted to.

    Attributes:
        exponent: H; one half without memory.
        se: standard error of the regression.
        scales: window lengths.
        fluctuation: of each.
    """

    exponent: float
    se: float
    scales: Array
    fluctuation: Array


def hurst(x: ArrayLike, method: str = "dfa", *, shortest: int = 10, longest: float = 0.1) -> Scaling:
    """Hurst exponent of a stationary series such as returns or absolute returns.

    Args:
        x: the series; NaN left out.
        method: ``"dfa"``, detrended fluctuation analysis with linear trends; or ``"rs"``, the rescaled range, whose
            expectation without memory (Anis and Lloyd 1976) is taken off, since in short windows it is above one half.
        shortest: shortest window.
        longest: longest window as a share of the series.

    Raises:
        ValueError: another method.
    """
    if method not in ("dfa", "rs"):
        raise ValueError(f"method {method!r}, not dfa or rs")
    series = _finite(x)
    top = int(longest * len(series))
    if top < 4 * shortest or not series.std() > 0:
        return Scaling(math.nan, math.nan, np.empty(0), np.empty(0))
    scales = np.unique(np.geomspace(shortest, top, 20).astype(int))
    measure = _detrended if method == "dfa" else _rescaled
    values = np.array([measure(series, int(scale)) for scale in scales])
    kept = values > 0
    logs = np.log(values[kept])
    if method == "rs":
        logs = logs - np.log([_rescaled_without_memory(int(scale)) for scale in scales[kept]])
    slope, _, se = _line(np.log(scales[kept]), logs)
    return Scaling(slope + (0.5 if method == "rs" else 0.0), se, scales[kept].astype(float), values[kept])


def _detrended(series: Array, scale: int) -> float:
    profile = np.cumsum(series - series.mean())
    windows = len(profile) // scale
    time = np.arange(scale) - (scale - 1) / 2
    squares = []
    for first in (0, len(profile) - windows * scale):  # from both ends, so that nothing is left out
        table = profile[first : first + windows * scale].reshape(windows, scale)
        centred = table - table.mean(axis=1, keepdims=True)
        slope = centred @ time / (time @ time)
        squares.append(np.mean((centred - slope[:, None] * time) ** 2))
    return math.sqrt(float(np.mean(squares)))


def _rescaled(series: Array, scale: int) -> float:
    windows = len(series) // scale
    table = series[: windows * scale].reshape(windows, scale)
    deviation = table - table.mean(axis=1, keepdims=True)
    path = np.cumsum(deviation, axis=1)
    spread = deviation.std(axis=1)
    ranges = path.max(axis=1) - path.min(axis=1)
    return float(np.mean(ranges[spread > 0] / spread[spread > 0])) if (spread > 0).any() else math.nan


def _rescaled_without_memory(n: int) -> float:
    """Expected rescaled range of n independent normal values (Anis and Lloyd 1976)."""
    from scipy.special import gammaln

    i = np.arange(1, n)
    front = math.exp(float(gammaln((n - 1) / 2) - gammaln(n / 2))) / math.sqrt(math.pi)
    return front * float(np.sum(np.sqrt((n - i) / i)))


def _log(prices: ArrayLike) -> Array:
    values = np.asarray(prices, np.float64)
    return np.log(np.where(values > 0, values, np.nan))


def _finite(x: ArrayLike) -> Array:
    values = np.asarray(x, np.float64)
    return values[np.isfinite(values)]


def _sizes(x: ArrayLike) -> Array:
    return np.sort(np.abs(_finite(x)))


def _hill(size: Array, k: int) -> Tail:
    threshold = float(size[-k - 1])
    if not threshold > 0:
        return Tail(math.nan, math.nan)
    mean = float(np.mean(np.log(size[-k:] / threshold)))
    return Tail(1.0 / mean, 1.0 / mean / math.sqrt(k)) if mean > 0 else Tail(math.nan, math.nan)


def _distance(law: Array) -> float:
    """Kolmogorov-Smirnov distance of a sample from a law, given the law at the sorted sample."""
    n = len(law)
    steps = np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - law), np.max(law - steps[:-1])))


def correlation(a: Array, b: Array) -> float:
    """Correlation over the pairs that exist; NaN with fewer than thirty of them or no variance."""
    known = np.isfinite(a) & np.isfinite(b)
    x, y = a[known], b[known]
    if len(x) < LEAST_PAIRS or not (x.std() > 0 and y.std() > 0):
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _line(x: Array, y: Array) -> tuple[float, float, float]:
    """Slope, intercept and standard error of the slope by least squares."""
    from scipy import stats

    found: Any = stats.linregress(x, y)
    return float(found.slope), float(found.intercept), float(found.stderr)


def _mean(values: Iterable[float]) -> float:
    known = _finite(np.array(list(values)))
    return float(known.mean()) if len(known) else math.nan
