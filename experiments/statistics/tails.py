"""Tail measures of outcomes over seeds, each with an interval of its own, and paired differences of them.

Means hide what a risk committee asks for: how bad is a bad seed. A quantile's interval comes from order statistics and
holds for every distribution; a probability's is Wilson's; expected shortfall, and differences of quantiles, are
bootstrapped over (pairs of) seeds, which needs enough seeds in the tail: ``tail_n`` says how many there are.

References:
    David, H. A. & Nagaraja, H. N. (2003). Order statistics, 3rd ed. Wiley, section 7.1 (intervals of quantiles).
    Hyndman, R. J. & Fan, Y. (1996). Sample quantiles in statistical packages. Am. Statist. 50(4), 361-365 (type 8).
    Acerbi, C. & Tasche, D. (2002). On the coherence of expected shortfall. J. Bank. Finance 26(7), 1487-1503.
    Bonett, D. G. & Price, R. M. (2012). Adjusted Wald confidence interval for a difference of binomial proportions
        based on paired data. J. Educ. Behav. Stat. 37(4), 479-488.
    McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions or percentages.
        Psychometrika 12(2), 153-157 (here with the exact binomial distribution).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.statistics.intervals import bootstrap, mean_interval, resampled, wilson_interval
from experiments.statistics.settings import BATCH, CONFIDENCE, GENERATOR_SEED, RESAMPLES, finite, rounded

UPPER, LOWER = "upper", "lower"
SMALL_TAIL = 10
"""With fewer seeds in the tail the interval of an expected shortfall is too narrow, and is not given."""

Statistic = Callable[..., NDArray[np.float64]]


def _quantile(probability: float) -> Statistic:
    def statistic(sample: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.asarray(np.quantile(sample, probability, axis=axis, method="median_unbiased"))

    return statistic


def _shortfall(probability: float, side: str) -> Statistic:
    """Mean of the worst share of a sample, the observation at its edge counted by the part that belongs to it."""
    share = 1.0 - probability

    def statistic(sample: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        ordered = np.sort(sample if side == UPPER else -sample, axis=axis)
        ordered = np.moveaxis(ordered, axis, -1)
        n = ordered.shape[-1]
        weights = np.clip(share * n - np.arange(n - 1, -1, -1), 0.0, 1.0)
        found = ordered @ (weights / (share * n))
        return np.asarray(found if side == UPPER else -found)

    return statistic


def _check(probability: float, side: str) -> None:
    if not 0.0 < probability < 1.0:
        raise ValueError(f"a probability between 0 and 1, got {probability}")
    if side not in (UPPER, LOWER):
        raise ValueError(f"the side of a tail is {UPPER} or {LOWER}, got {side!r}")


def quantile(values: ArrayLike, probability: float, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """A quantile over seeds, with the interval of order statistics.

    The ends are values of the sample, chosen so that each misses with at most half of what the level allows: the
    interval holds for every distribution, and is somewhat wide. Where no value of the sample can be an end (too few
    seeds for so far a quantile) that end is None: the data does not bound it.

    Returns:
        ``value, low, high, n`` and ``coverage``, the exact level of the interval (None without both ends).
    """
    _check(probability, UPPER)
    sample = np.sort(finite(values))
    n = int(sample.size)
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0, "coverage": None}
    from scipy import stats

    tail = (1.0 - confidence) / 2.0
    count = stats.binom(n, probability)  # values at or below the quantile
    lower = int(count.ppf(tail))  # X(k) above the quantile means fewer than k values at or below it
    while lower > 0 and count.cdf(lower - 1) > tail:
        lower -= 1
    upper = int(count.ppf(1.0 - tail)) + 1
    while upper <= n and count.sf(upper - 1) > tail:
        upper += 1
    bounded = lower >= 1 and upper <= n
    return {
        "value": rounded(float(_quantile(probability)(sample))),
        "low": rounded(float(sample[lower - 1])) if lower >= 1 else None,
        "high": rounded(float(sample[upper - 1])) if upper <= n else None,
        "n": n,
        "coverage": rounded(float(count.cdf(upper - 1) - count.cdf(lower - 1))) if bounded else None,
    }


def expected_shortfall(
    values: ArrayLike,
    probability: float = 0.95,
    *,
    side: str = UPPER,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Mean of the worst ``1 - probability`` of seeds (Acerbi and Tasche 2002).

    Args:
        values: one per seed.
        probability: 0.95: the worst twentieth.
        side: ``upper`` where large values are bad, ``lower`` where small ones are.
        confidence: of the bootstrap interval.
        resamples: of the bootstrap.

    Returns:
        ``value, low, high, n, tail_n, method``. No interval with fewer than :data:`SMALL_TAIL` seeds in the tail.
    """
    _check(probability, side)
    sample = finite(values)
    n = int(sample.size)
    tail = rounded(n * (1.0 - probability))
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0, "tail_n": 0.0, "method": "none"}
    statistic = _shortfall(probability, side)
    told = {"value": rounded(float(statistic(sample))), "low": None, "high": None, "n": n, "tail_n": tail}
    if n > 1 and np.all(sample == sample[0]):
        return told | {"low": told["value"], "high": told["value"], "method": "constant"}
    found = bootstrap((sample,), statistic, confidence, resamples) if (tail or 0.0) >= SMALL_TAIL else None
    if found is None:
        return told | {"method": "none"}
    return told | {"low": rounded(found[0]), "high": rounded(found[1]), "method": found[2]}


def exceedance(
    values: ArrayLike, threshold: float, *, side: str = UPPER, confidence: float = CONFIDENCE
) -> dict[str, Any]:
    """Share of seeds beyond a threshold, with Wilson's interval; ``value, low, high, n, count``."""
    _check(0.5, side)
    sample = finite(values)
    n = int(sample.size)
    count = int(np.sum(sample > threshold if side == UPPER else sample < threshold))
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0, "count": 0}
    low, high = wilson_interval(count, n, confidence=confidence)
    return {"value": rounded(count / n), "low": rounded(low), "high": rounded(high), "n": n, "count": count}


def extreme(
    values: ArrayLike, *, of: int | None = None, side: str = UPPER, confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:  # fmt: skip
    """The worst seed, and how bad the worst of so many seeds is on average.

    The largest of n values estimates nothing that stays as n grows. What it says: one further seed exceeds it with
    probability 1 / (n + 1); and with the stated confidence at most ``beyond`` of all seeds do (both for any continuous
    distribution). The mean of the largest of ``of`` seeds is estimated without bias from all subsets of so many.

    Args:
        values: one per seed.
        of: size of the subsets; a fifth of the seeds, at least two, if None.
        side: ``upper`` for the largest, ``lower`` for the smallest.
        confidence: of the interval of the mean extreme, and of ``beyond``.
        resamples: of the bootstrap.

    Returns:
        ``value, next_exceeds, beyond, n`` and ``mean_extreme`` {value, low, high, of, method}.

    Raises:
        ValueError: subsets larger than the sample, or empty ones.
    """
    _check(0.5, side)
    sample = finite(values)
    n = int(sample.size)
    if n == 0:
        return {"value": None, "next_exceeds": None, "beyond": None, "n": 0, "mean_extreme": None}
    m = max(2, n // 5) if of is None else of
    if m < 1 or (of is not None and m > n):
        raise ValueError(f"the worst of {m} seeds needs from 1 to {n}, the number of seeds")
    m = min(m, n)

    def statistic(drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        ordered = np.moveaxis(np.sort(drawn if side == UPPER else -drawn, axis=axis), axis, -1)
        size = ordered.shape[-1]  # one less than n in the jackknife of the interval
        return np.asarray((ordered @ _subset_weights(size, min(m, size))) * (1.0 if side == UPPER else -1.0))

    mean: dict[str, Any] = {"value": rounded(float(statistic(sample))), "low": None, "high": None, "of": m,
                            "method": "none"}  # fmt: skip
    if n > 1 and np.all(sample == sample[0]):
        mean |= {"low": mean["value"], "high": mean["value"], "method": "constant"}
    elif n >= 2 * m:  # as many seeds again, or resamples repeat the one largest value
        found = bootstrap((sample,), statistic, confidence, resamples)
        if found is not None:
            mean |= {"low": rounded(found[0]), "high": rounded(found[1]), "method": found[2]}
    return {
        "value": rounded(float(sample.max() if side == UPPER else sample.min())),
        "next_exceeds": rounded(1.0 / (n + 1)),
        "beyond": rounded(1.0 - (1.0 - confidence) ** (1.0 / n)),
        "n": n,
        "mean_extreme": mean,
    }


def _subset_weights(n: int, m: int) -> NDArray[np.float64]:
    """Share of the subsets of m among n in which the i-th smallest is the largest."""
    whole = math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1)
    weights = np.zeros(n)
    for i in range(m, n + 1):
        weights[i - 1] = math.exp(math.lgamma(i) - math.lgamma(m) - math.lgamma(i - m + 1) - whole)
    return weights / weights.sum()


def tail_summary(
    values: ArrayLike,
    *,
    probabilities: Sequence[float] = (0.9, 0.95),
    thresholds: Sequence[float] = (),
    side: str = UPPER,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """All tail measures of one outcome.

    Args:
        values: one per seed.
        probabilities: of quantiles and of shortfalls; on the lower side 0.95 means the lowest twentieth.
        thresholds: of exceedance probabilities, in plain units of the measure.
        side: which tail is bad.
        confidence: of every interval.
        resamples: of bootstraps.

    Returns:
        ``side``, ``quantiles`` and ``shortfalls`` by probability, ``exceedances`` by threshold, ``worst``.
    """
    options: dict[str, Any] = {"side": side, "confidence": confidence}
    at = {p: (p if side == UPPER else 1.0 - p) for p in probabilities}
    return {
        "side": side,
        "quantiles": {f"{p:g}": quantile(values, q, confidence=confidence) for p, q in at.items()},
        "shortfalls": {f"{p:g}": expected_shortfall(values, p, resamples=resamples, **options) for p in at},
        "exceedances": {f"{x:g}": exceedance(values, x, **options) for x in thresholds},
        "worst": extreme(values, resamples=resamples, **options),
    }


def _pairs(values: ArrayLike, baseline: ArrayLike) -> NDArray[np.float64]:
    a, b = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (values, baseline))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired values must have one value per seed each, got shapes {a.shape} and {b.shape}")
    kept = np.isfinite(a) & np.isfinite(b)
    return np.stack([a[kept], b[kept]])


def swap_test(pairs: NDArray[np.float64], statistic: Statistic, *, resamples: int = RESAMPLES) -> float | None:
    """Two-sided p-value of a difference of statistics of two arms, under exchanges within pairs.

    If the regime makes no difference, the two values of a seed could have been each other's. Random exchanges; the
    arrangement found is counted among them, so that the test keeps its level.

    Args:
        pairs: float64[2, n].
        statistic: of a sample along its last axis.
        resamples: random exchanges.
    """
    n = pairs.shape[1]
    if n < 2:
        return None
    found = abs(float(statistic(pairs[0]) - statistic(pairs[1])))
    generator, beyond = np.random.default_rng(GENERATOR_SEED), 1
    block = max(1, BATCH // (2 * n))
    scale = max(found, float(np.abs(pairs).max()), 1e-300)
    for first in range(0, resamples, block):
        swap = generator.random((min(block, resamples - first), n)) < 0.5
        a, b = np.where(swap, pairs[1], pairs[0]), np.where(swap, pairs[0], pairs[1])
        beyond += int(np.sum(np.abs(statistic(a) - statistic(b)) >= found - 1e-12 * scale))
    return rounded(beyond / (resamples + 1))


def _difference(
    pairs: NDArray[np.float64], statistic: Statistic, confidence: float, resamples: int, enough: bool
) -> dict[str, Any]:
    n = int(pairs.shape[1])
    told: dict[str, Any] = {"value": None, "low": None, "high": None, "p": None, "n": n}
    if n == 0:
        return told
    told["value"] = rounded(float(statistic(pairs[0]) - statistic(pairs[1])))
    if np.array_equal(pairs[0], pairs[1]):
        return told | {"low": 0.0, "high": 0.0, "p": 1.0}
    if n < 2:
        return told
    told["p"] = swap_test(pairs, statistic, resamples=resamples)
    if enough:
        drawn = np.concatenate([statistic(part[:, 0]) - statistic(part[:, 1]) for part in resampled(pairs, resamples)])
        ends = np.quantile(drawn, [(1.0 - confidence) / 2.0, 0.5 + confidence / 2.0])
        told |= {"low": rounded(float(ends[0])), "high": rounded(float(ends[1]))}
    return told


def exceedance_difference(
    values: ArrayLike, baseline: ArrayLike, threshold: float, *, side: str = UPPER, confidence: float = CONFIDENCE
) -> dict[str, Any]:
    """Difference of the probabilities of passing a threshold, on paired seeds.

    Returns:
        ``value``; ``low, high`` (Bonett and Price 2012); ``p`` (McNemar's test, exact); ``n``; ``only`` and
        ``only_baseline``: seeds beyond the threshold under one of the two.
    """
    _check(0.5, side)
    a, b = _pairs(values, baseline)
    n = int(a.size)
    beyond = (a > threshold, b > threshold) if side == UPPER else (a < threshold, b < threshold)
    only, only_baseline = int(np.sum(beyond[0] & ~beyond[1])), int(np.sum(~beyond[0] & beyond[1]))
    told: dict[str, Any] = {
        "value": None, "low": None, "high": None, "p": None, "n": n, "only": only, "only_baseline": only_baseline,
    }  # fmt: skip
    if n == 0:
        return told
    from scipy import stats

    z = float(stats.norm.ppf(0.5 + confidence / 2.0))
    p, q = (only + 1.0) / (n + 2.0), (only_baseline + 1.0) / (n + 2.0)
    half = z * math.sqrt((p + q - (p - q) ** 2) / (n + 2.0))
    differing = only + only_baseline
    told["p"] = rounded(float(stats.binomtest(only, differing).pvalue)) if differing else 1.0
    return told | {
        "value": rounded((only - only_baseline) / n),
        "low": rounded(max(p - q - half, -1.0)), "high": rounded(min(p - q + half, 1.0)),
    }  # fmt: skip


def tail_difference(
    values: ArrayLike,
    baseline: ArrayLike,
    *,
    probabilities: Sequence[float] = (0.9, 0.95),
    thresholds: Sequence[float] = (),
    side: str = UPPER,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Tail measures under a regime less those under the baseline, on paired seeds.

    Differences of quantiles and shortfalls are resampled by pairs (percentile interval) and tested by exchanges within
    pairs (:func:`swap_test`); those of probabilities are :func:`exceedance_difference`.

    Returns:
        ``side``, ``quantiles`` and ``shortfalls`` by probability, ``exceedances`` by threshold: each ``value, low,
        high, p, n``; and ``mean``, the mean difference beside them. An interval is None with fewer than
        :data:`SMALL_TAIL` seeds in the tail.
    """
    pairs = _pairs(values, baseline)
    found: dict[str, Any] = {"side": side, "quantiles": {}, "shortfalls": {}, "exceedances": {}}
    for probability in probabilities:
        _check(probability, side)
        enough = pairs.shape[1] * (1.0 - probability) >= SMALL_TAIL - 1e-9
        at = probability if side == UPPER else 1.0 - probability
        key = f"{probability:g}"
        found["quantiles"][key] = _difference(pairs, _quantile(at), confidence, resamples, enough)
        found["shortfalls"][key] = _difference(pairs, _shortfall(probability, side), confidence, resamples, enough)
    for threshold in thresholds:
        found["exceedances"][f"{threshold:g}"] = exceedance_difference(
            pairs[0], pairs[1], threshold, side=side, confidence=confidence
        )
    found["mean"] = mean_interval(pairs[0] - pairs[1], confidence=confidence, resamples=resamples)
    return found
