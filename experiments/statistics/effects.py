"""Effect sizes of paired differences, and what pairing gained, each with its interval.

References:
    Hedges, L. V. (1981). Distribution theory for Glass's estimator of effect size. J. Educ. Stat. 6(2), 107-128 (the
        correction of the bias of a standardised mean difference).
    Steiger, J. H. & Fouladi, R. T. (1997). Noncentrality interval estimation and the evaluation of statistical models.
        In What if there were no significance tests?, 221-257 (intervals by inverting the noncentral t).
    Kerby, D. S. (2014). The simple difference formula: an approach to teaching nonparametric correlation.
        Comprehensive Psychology 3, 11.IT.3.1 (the rank-biserial correlation of matched pairs).
    Grissom, R. J. & Kim, J. J. (2012). Effect sizes for research, 2nd ed. Routledge (probability of superiority).
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22(158), 209-212.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.statistics.intervals import bootstrap, wilson_interval
from experiments.statistics.settings import CONFIDENCE, RESAMPLES, finite, rounded

_FAR = 37.0  # noncentrality beyond which the library's noncentral t is not to be trusted


def hedges_correction(degrees: int) -> float:
    """Factor that takes the bias from a standardised mean with an estimated standard deviation (Hedges 1981).

    Examples:
        >>> round(hedges_correction(9), 4)
        0.9139
    """
    half = degrees / 2.0
    return math.exp(math.lgamma(half) - math.lgamma(half - 0.5)) / math.sqrt(half)


def standardised(differences: ArrayLike, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Mean difference over the standard deviation of differences, d_z, corrected for its bias.

    The interval holds every true value under which the t statistic found is not extreme: exact for normal differences.

    Returns:
        ``value, low, high, n``; the ends are None with fewer than two differences, all three where all are equal.
    """
    sample = finite(differences)
    n = int(sample.size)
    if n < 2 or np.all(sample == sample[0]):
        return {"value": None, "low": None, "high": None, "n": n}
    spread = float(np.std(sample, ddof=1))
    ratio = float(sample.mean()) / spread if spread > 0.0 else math.inf
    if not math.isfinite(ratio):  # differences so small that their squares vanish
        return {"value": None, "low": None, "high": None, "n": n}
    root = math.sqrt(n)
    low, high = _noncentrality(ratio * root, n - 1, confidence)
    value = ratio * hedges_correction(n - 1) if n > 2 else None
    return {"value": rounded(value), "low": rounded(low / root), "high": rounded(high / root), "n": n}


def _noncentrality(t: float, degrees: int, confidence: float) -> tuple[float, float]:
    """Noncentralities at which a t statistic is at the upper and the lower tail."""
    from scipy import optimize, stats

    tail = (1.0 - confidence) / 2.0
    if abs(t) > _FAR:  # normal with the variance of the ratio: one for the mean, t**2 / (2 degrees) for the spread
        error = float(stats.norm.ppf(1.0 - tail)) * math.sqrt(1.0 + t * t / (2.0 * degrees))
        return t - error, t + error
    size = abs(t)
    reach = 2.0 + float(stats.norm.ppf(1.0 - tail)) * math.sqrt(1.0 + size * size / (2.0 * degrees)) * 1.5

    def at(probability: float) -> float:
        def excess(shift: float) -> float:
            return noncentral_t_cdf(size, degrees, shift) - probability

        left, right = size - reach, size + reach
        while excess(left) <= 0.0:
            left -= reach
        while excess(right) >= 0.0:
            right += reach
        return float(optimize.brentq(excess, left, right, xtol=1e-9))

    low, high = at(1.0 - tail), at(tail)
    return (low, high) if t >= 0.0 else (-high, -low)


def noncentral_t_cdf(t: float, degrees: int, shift: float) -> float:
    """Distribution function of the noncentral t distribution.

    The library's is not a number at some arguments far out; there the normal approximation 26.7.10 of Abramowitz and
    Stegun (1964), Handbook of mathematical functions, stands in for it.
    """
    from scipy import stats

    with np.errstate(all="ignore"):
        found = float(stats.nct.cdf(t, degrees, shift))
    if math.isfinite(found):
        return found
    moved = t * (1.0 - 1.0 / (4.0 * degrees)) - shift
    return float(stats.norm.cdf(moved / math.sqrt(1.0 + t * t / (2.0 * degrees))))


def superiority(differences: ArrayLike, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Probability that a seed's outcome is larger under the regime than under the baseline, ties counted as half.

    The interval is Wilson's; with ties it is a little too wide, since a half varies less than zero or one.

    Returns:
        ``value, low, high, n``, all None without differences.
    """
    sample = finite(differences)
    n = int(sample.size)
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    won = float(np.sum(sample > 0.0)) + 0.5 * float(np.sum(sample == 0.0))
    low, high = wilson_interval(won, n, confidence=confidence)
    return {"value": rounded(won / n), "low": rounded(low), "high": rounded(high), "n": n}


def _rank_biserial(sample: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    from scipy import stats

    sized = np.where(sample == 0.0, np.nan, np.abs(sample))
    ranks = np.where(sample == 0.0, 0.0, stats.rankdata(sized, axis=axis, nan_policy="omit"))
    total = np.nansum(ranks, axis=axis)
    signed = np.nansum(np.sign(sample) * ranks, axis=axis)
    return np.divide(signed, total, out=np.zeros_like(total), where=total > 0.0)


def rank_biserial(
    differences: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Rank-biserial correlation of matched pairs: share of rank sum for, less that against (Kerby 2014).

    Zero differences are left out, as in Wilcoxon's signed-rank test, whose statistic this rescales to -1..1. The
    interval is a bootstrap over seeds on the scale of Fisher's z with the resamples' standard error, which does not
    collapse at the ends; where every difference has one sign it is Wilson's for the share of that sign, rescaled.

    Returns:
        ``value, low, high, n`` (n without zeros); None where nothing differs.
    """
    sample = finite(differences)
    sample = sample[sample != 0.0]
    n = int(sample.size)
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    value = float(_rank_biserial(sample))
    if n < 2 or abs(value) >= 1.0:
        low, high = wilson_interval(float(np.sum(sample > 0.0)), n, confidence=confidence)
        ends: tuple[float, float] = (2.0 * low - 1.0, 2.0 * high - 1.0)
    else:
        from scipy import stats

        from experiments.statistics.intervals import resampled

        z = float(np.arctanh(value))
        drawn = np.clip(_batched(sample, resamples, resampled), -1.0 + 1.0 / n**2, 1.0 - 1.0 / n**2)
        error = float(np.std(np.arctanh(drawn), ddof=1)) * float(stats.t.ppf(0.5 + confidence / 2.0, n - 1))
        ends = (math.tanh(z - error), math.tanh(z + error))
    return {"value": rounded(value), "low": rounded(ends[0]), "high": rounded(ends[1]), "n": n}


def _batched(sample: NDArray[np.float64], resamples: int, resampled: Any) -> NDArray[np.float64]:
    return np.concatenate([_rank_biserial(part) for part in resampled(sample, resamples)])


def _reduction(a: NDArray[np.float64], b: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    return (np.var(a, axis=axis, ddof=1) + np.var(b, axis=axis, ddof=1)) / np.var(a - b, axis=axis, ddof=1)


def variance_reduction(
    values: ArrayLike, baseline: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """What pairing gained: variance of the difference of unpaired means over that of paired ones.

    ``value`` runs per arm on common seeds say as much as one run per arm on seeds of their own; below one, pairing
    hurts. The bootstrap interval resamples pairs.

    Returns:
        ``value, low, high, n, method``; None where every difference is equal or the interval is not defined.

    Raises:
        ValueError: a different number of seeds.
    """
    a, b = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (values, baseline))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired values must have one value per seed each, got shapes {a.shape} and {b.shape}")
    kept = np.isfinite(a) & np.isfinite(b)
    a, b = a[kept], b[kept]
    n, difference = int(a.size), a - b
    if n < 2 or np.all(difference == difference[0]):
        return {"value": None, "low": None, "high": None, "n": n, "method": "none"}
    value = rounded(float(_reduction(a, b)))
    found = bootstrap((a, b), _reduction, confidence, resamples)
    if found is None:
        return {"value": value, "low": None, "high": None, "n": n, "method": "none"}
    return {"value": value, "low": rounded(found[0]), "high": rounded(found[1]), "n": n, "method": found[2]}


def effect_sizes(
    values: ArrayLike, baseline: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> dict[str, dict[str, Any]]:
    """All effect sizes of one paired comparison.

    Returns:
        ``d_z`` (:func:`standardised`), ``rank_biserial``, ``superiority``, ``variance_reduction``.
    """
    difference = np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    return {
        "d_z": standardised(difference, confidence=confidence),
        "rank_biserial": rank_biserial(difference, confidence=confidence, resamples=resamples),
        "superiority": superiority(difference, confidence=confidence),
        "variance_reduction": variance_reduction(values, baseline, confidence=confidence, resamples=resamples),
    }
