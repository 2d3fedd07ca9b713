"""Tails of a distribution: Hill's estimator and its plot, a Pareto and a generalised Pareto law by likelihood.

References:
    Hill, B. M. (1975). A simple general approach to inference about the tail of a distribution. Ann. Statist. 3(5),
        1163-1174.
    Clauset, A., Shalizi, C. R. and Newman, M. E. J. (2009). Power-law distributions in empirical data. SIAM Review
        51(4), 661-703 (threshold at the least Kolmogorov-Smirnov distance).
    Pickands, J. (1975). Statistical inference using extreme order statistics. Ann. Statist. 3(1), 119-131.
    Grimshaw, S. D. (1993). Computing maximum likelihood estimates for the generalized Pareto distribution.
        Technometrics 35(2), 185-191.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.facts.arrays import Array, finite

LEAST_TAIL = 20
"""Fewest observations in a tail from which an exponent is estimated."""


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


def _sizes(x: ArrayLike) -> Array:
    return np.sort(np.abs(finite(x)))


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
