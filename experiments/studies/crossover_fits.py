"""Where a share rises from little to much, how steeply, and whether it has two values there.

A logistic curve in ln R0 is fitted to a probability (or a mean share) by maximum likelihood, with half a success and
half a failure added over all cells (Clogg et al. 1991, JASA 86:68-78): without them, data that jump from never to
always between two cells have no finite slope.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

UNIFORM = 5.0 / 9.0
"""Sarle's coefficient of a uniform distribution: above it a distribution may have two modes."""
_STEPS = 60


def logistic_fit(x: ArrayLike, rate: ArrayLike, n: ArrayLike) -> tuple[float, float]:
    """Intercept and slope of logit(rate) = a + b x.

    Args:
        x: float64[cells].
        rate: float64[cells], share of successes, or a mean share.
        n: observations in each cell.

    Returns:
        a and b; NaN where fewer than two cells have observations.

    Examples:
        >>> x = np.linspace(-2, 2, 9)
        >>> a, b = logistic_fit(x, 1 / (1 + np.exp(-(0.5 + 2 * x))), np.full(9, 1e6))
        >>> round(a, 2), round(b, 2)
        (0.5, 2.0)
    """
    at, p, weight = (np.asarray(values, np.float64) for values in (x, rate, n))
    kept = np.isfinite(at) & np.isfinite(p) & (weight > 0)
    at, p, weight = at[kept], p[kept], weight[kept]
    if len(np.unique(at)) < 2:
        return float("nan"), float("nan")
    added = 1.0 / len(at)
    p = (p * weight + added / 2) / (weight + added)
    weight = weight + added
    design = np.column_stack([np.ones_like(at), at - at.mean()])
    beta = np.array([np.log(np.average(p, weights=weight) / (1 - np.average(p, weights=weight))), 0.0])

    def likelihood(b: Floats) -> float:
        linear = design @ b
        return float(np.sum(weight * (p * linear - np.logaddexp(0.0, linear))))

    for _ in range(_STEPS):  # Newton's method, halved where it overshoots
        mean = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -500, 500)))
        score = design.T @ (weight * (p - mean))
        curvature = (design * (weight * mean * (1 - mean))[:, None]).T @ design
        move = np.linalg.solve(curvature + 1e-12 * np.eye(2), score)
        before, part = likelihood(beta), 1.0
        while likelihood(beta + part * move) < before and part > 1e-6:
            part /= 2
        beta = beta + part * move
        if np.max(np.abs(part * move)) < 1e-10:
            break
    return float(beta[0] - beta[1] * at.mean()), float(beta[1])


def crossover(a: float, b: float) -> tuple[float, float]:
    """R0 at which a fitted logistic is one half, and the width of its rise: ln R0 from 10 to 90 %.

    Examples:
        >>> crossover(0.0, 2.0)[0]
        1.0
    """
    if not b > 0:
        return float("nan"), float("nan")
    return float(np.exp(np.clip(-a / b, -20, 20))), float(2 * np.log(9.0) / b)


def bimodality(values: ArrayLike) -> float:
    """Sarle's bimodality coefficient with its correction for small samples; 5/9 for a uniform distribution, at most 1.

    (skewness^2 + 1) / (excess kurtosis + 3 (n - 1)^2 / ((n - 2)(n - 3))), both moments unbiased as SAS states them.
    NaN with fewer than four values or no spread.
    """
    from scipy import stats

    sample = np.asarray(values, np.float64)
    sample = sample[np.isfinite(sample)]
    n = len(sample)
    if n < 4 or np.ptp(sample) == 0:
        return float("nan")
    skew = float(stats.skew(sample, bias=False))
    kurtosis = float(stats.kurtosis(sample, bias=False))
    return (skew * skew + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))


def decay_with_size(factors: ArrayLike, widths: ArrayLike) -> float:
    """Exponent b of width ~ size^-b by least squares of logarithms; NaN where a width is missing.

    Examples:
        >>> round(decay_with_size([1, 4, 16], [1.0, 0.5, 0.25]), 3)
        0.5
    """
    size, width = np.log(np.asarray(factors, np.float64)), np.asarray(widths, np.float64)
    if len(size) < 2 or not np.all(np.isfinite(width)) or np.any(width <= 0):
        return float("nan")
    return float(-np.polyfit(size, np.log(width), 1)[0])


def interval(sample: ArrayLike, value: float, confidence: float = 0.95) -> dict[str, Any]:
    """An estimate with the percentile interval of its bootstrap sample."""
    drawn = np.asarray(sample, np.float64)
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < 10 or not np.isfinite(value):
        return {"value": value, "low": float("nan"), "high": float("nan")}
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"value": float(value), "low": float(low), "high": float(high)}
