"""Intervals of means and of ratios of paired means.

References:
    Efron, B. (1987). Better bootstrap confidence intervals. JASA 82(397), 171-185 (the BCa interval).
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22(158), 209-212.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.statistics.settings import BATCH, CONFIDENCE, GENERATOR_SEED, RESAMPLES, finite, rounded


def column_mean(sample: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Mean over an axis, in the form that resampling wants."""
    return np.mean(sample, axis=axis)


def bootstrap(
    samples: tuple[NDArray[np.float64], ...], statistic: Any, confidence: float, resamples: int
) -> tuple[float, float, str] | None:
    """BCa interval, or the percentile interval where BCa is not defined; None where neither is finite."""
    from scipy import stats

    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # degenerate samples are handled here, by the check of what came out
            found = stats.bootstrap(
                samples,
                statistic,
                n_resamples=resamples,
                batch=max(1, BATCH // samples[0].size),
                vectorized=True,
                paired=len(samples) > 1,
                axis=-1,
                confidence_level=confidence,
                method=method,
                rng=np.random.default_rng(GENERATOR_SEED),
            ).confidence_interval
        low, high = float(found.low), float(found.high)
        if math.isfinite(low) and math.isfinite(high):
            return low, high, method.lower()
    return None


def mean_interval(values: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Mean over seeds with a bootstrap interval.

    Args:
        values: One value per seed; NaN and infinite values are left out.
        confidence: Level of the interval.
        resamples: Bootstrap resamples.

    Returns:
        ``mean, low, high, n, method``. ``method`` is ``bca``, ``percentile``, ``constant`` (all values are equal: the
        interval is that value) or ``none`` (fewer than two values: ``low`` and ``high`` are None).

    Examples:
        >>> mean_interval([3.0, 3.0, 3.0])
        {'mean': 3.0, 'low': 3.0, 'high': 3.0, 'n': 3, 'method': 'constant'}
    """
    sample = finite(values)
    n = int(sample.size)
    if n == 0:
        return {"mean": None, "low": None, "high": None, "n": 0, "method": "none"}
    mean = rounded(float(sample.mean()))
    if n == 1:
        return {"mean": mean, "low": None, "high": None, "n": 1, "method": "none"}
    if np.all(sample == sample[0]):
        constant = rounded(float(sample[0]))
        return {"mean": constant, "low": constant, "high": constant, "n": n, "method": "constant"}
    found = bootstrap((sample,), column_mean, confidence, resamples)
    if found is None:
        return {"mean": mean, "low": None, "high": None, "n": n, "method": "none"}
    low, high, method = found
    return {"mean": mean, "low": rounded(low), "high": rounded(high), "n": n, "method": method}


def t_interval(values: ArrayLike, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Student's t interval and two-sided p-value of a mean; NaN and infinite values are left out.

    Returns:
        ``mean, low, high, p, n``; low, high and p are None with fewer than two values, p also where all are equal.
    """
    sample = finite(values)
    n = int(sample.size)
    mean = rounded(float(sample.mean())) if n else None
    if n < 2:
        return {"mean": mean, "low": None, "high": None, "p": None, "n": n}
    if np.all(sample == sample[0]):
        return {"mean": mean, "low": mean, "high": mean, "p": None, "n": n}
    from scipy import stats

    test = stats.ttest_1samp(sample, 0.0)
    low, high = test.confidence_interval(confidence)
    return {
        "mean": mean, "low": rounded(float(low)), "high": rounded(float(high)), "p": rounded(float(test.pvalue)),
        "n": n,
    }  # fmt: skip


def ratio_of_means(
    a: ArrayLike, b: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Ratio of two paired means with a bootstrap interval over seeds, as for a drawdown multiplier.

    Pairs are resampled together, so what is common to both arms cancels.

    Args:
        a: Numerator, one value per seed.
        b: Denominator on the same seeds. Pairs with a NaN or infinite value are left out.
        confidence: Level of the interval.
        resamples: Bootstrap resamples.

    Returns:
        ``ratio, low, high, n, method``. The ratio is None where the mean of ``b`` is zero; the interval is None where
        the mean of ``b`` cannot be told from zero (its own interval holds zero), since it would be unbounded.
    """
    x = np.atleast_1d(np.asarray(a, dtype=np.float64))
    y = np.atleast_1d(np.asarray(b, dtype=np.float64))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"paired values must have one value per seed each, got shapes {x.shape} and {y.shape}")
    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    n = int(x.size)
    empty = {"ratio": None, "low": None, "high": None, "n": n, "method": "none"}
    if n == 0 or float(y.mean()) == 0.0:
        return empty
    ratio = rounded(float(x.mean() / y.mean()))
    if n == 1:
        return empty | {"ratio": ratio}
    if np.all(x == x[0]) and np.all(y == y[0]):
        return {"ratio": ratio, "low": ratio, "high": ratio, "n": n, "method": "constant"}
    below = mean_interval(y, confidence=confidence, resamples=resamples)
    if below["low"] is None or below["low"] <= 0.0 <= below["high"]:
        return empty | {"ratio": ratio}

    def statistic(p: NDArray[np.float64], q: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.mean(p, axis=axis) / np.mean(q, axis=axis)

    found = bootstrap((x, y), statistic, confidence, resamples)
    if found is None:
        return empty | {"ratio": ratio}
    low, high, method = found
    return {"ratio": ratio, "low": rounded(low), "high": rounded(high), "n": n, "method": method}


def resampled(sample: NDArray[np.float64], resamples: int) -> Iterator[NDArray[np.float64]]:
    """Bootstrap resamples of the last axis, in blocks float64[block, ..., n] that fit into memory.

    Args:
        sample: float64[..., n]; columns are drawn together, so that pairs stay pairs.
        resamples: how many in all.
    """
    generator, n = np.random.default_rng(GENERATOR_SEED), sample.shape[-1]
    block = max(1, BATCH // max(sample.size, 1))
    for first in range(0, resamples, block):
        chosen = generator.integers(0, n, (min(block, resamples - first), n))
        yield np.moveaxis(sample[..., chosen], -2, 0)


def wilson_interval(successes: float, n: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's (1927) score interval of a proportion, within 0 and 1.

    Args:
        successes: how many of n; ties may count as half.
        n: trials, at least one.
        confidence: of the interval.

    Examples:
        >>> [round(end, 4) for end in wilson_interval(0, 10)]
        [0.0, 0.2775]
    """
    from scipy import stats

    z = float(stats.norm.ppf(0.5 + confidence / 2.0))
    share, shrink = successes / n, 1.0 + z * z / n
    middle = (share + z * z / (2.0 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    return (0.0 if successes <= 0 else max(middle - half, 0.0)), (1.0 if successes >= n else min(middle + half, 1.0))
