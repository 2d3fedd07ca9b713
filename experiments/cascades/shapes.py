"""All or nothing? The distribution over seeds of the share that is liquidated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.statistics import CONFIDENCE, GENERATOR_SEED
from experiments.studies.crossover_fits import UNIFORM, bimodality, interval

Floats = NDArray[np.float64]

PARTS = (0.1, 0.5)
"""Shares that divide little, some and much."""
RESAMPLES = 400
_SMOOTHED = 200  # resamples of the test of one mode
_POINTS = 256


def proportion(successes: int, n: int, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """A share with Wilson's (1927) interval, which does not collapse where all or none succeed.

    Examples:
        >>> proportion(0, 20)["high"] > 0.1
        True
    """
    if n == 0:
        return {"mean": None, "low": None, "high": None, "n": 0, "method": "none"}
    from scipy import stats

    ends = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return {"mean": successes / n, "low": float(ends.low), "high": float(ends.high), "n": n, "method": "wilson"}


def shape(shares: ArrayLike) -> dict[str, Any]:
    """What shares liquidated look like over seeds.

    Args:
        shares: float64[seeds], each in [0, 1].

    Returns:
        ``coefficient``: Sarle's bimodality coefficient with a percentile bootstrap interval (5/9 for a uniform
        distribution); ``unimodal_p``: see :func:`one_mode`; ``little``, ``some``, ``much``: share of seeds below 10 %,
        between, and above 50 %.
    """
    sample = np.asarray(shares, np.float64)
    sample = sample[np.isfinite(sample)]
    rng, n = np.random.default_rng(GENERATOR_SEED), len(sample)
    drawn: ArrayLike = _coefficients(sample[rng.integers(0, n, (RESAMPLES, n))]) if n else []
    little, much = int((sample < PARTS[0]).sum()), int((sample > PARTS[1]).sum())
    return {
        "coefficient": interval(drawn, bimodality(sample)),
        "uniform": UNIFORM,
        "unimodal_p": one_mode(sample),
        "little": proportion(little, n),
        "some": proportion(n - little - much, n),
        "much": proportion(much, n),
    }


def _coefficients(samples: Floats) -> Floats:
    """:func:`bimodality` of every row."""
    from scipy import stats

    n = samples.shape[1]
    if n < 4:
        return np.full(len(samples), np.nan)
    samples = samples[np.ptp(samples, axis=1) > 0]
    skew, kurtosis = stats.skew(samples, axis=1, bias=False), stats.kurtosis(samples, axis=1, bias=False)
    return np.asarray((skew**2 + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))))


def one_mode(values: ArrayLike, resamples: int = _SMOOTHED) -> float | None:
    """p-value of the hypothesis that a distribution has one mode (Silverman 1981, J. R. Statist. Soc. B 43:97-99).

    The critical bandwidth is the smallest at which a Gaussian kernel estimate has one mode. Samples are drawn from that
    estimate, scaled to the variance of the data; p is the share of them that need a larger bandwidth. The test is
    conservative (Hall and York 2001): a small p is evidence, a large one is little.

    Args:
        values: a sample.
        resamples: samples drawn.

    Returns:
        p; None with fewer than ten values or no spread.
    """
    sample = np.asarray(values, np.float64)
    sample = sample[np.isfinite(sample)]
    n = len(sample)
    if n < 10 or np.ptp(sample) == 0:
        return None
    width = _critical_bandwidth(sample)
    rng = np.random.default_rng(GENERATOR_SEED)
    spread = float(sample.std(ddof=1))
    shrink = 1.0 / math.sqrt(1.0 + (width / spread) ** 2)
    more = 0
    for _ in range(resamples):
        drawn = sample[rng.integers(0, n, n)]
        smooth = drawn.mean() + shrink * (drawn - drawn.mean() + width * rng.standard_normal(n))
        more += _modes(smooth, width) > 1
    return more / resamples


def _modes(sample: Floats, width: float) -> int:
    """Modes of a Gaussian kernel estimate."""
    at = np.linspace(sample.min() - 2 * width, sample.max() + 2 * width, _POINTS)
    density = np.exp(-0.5 * ((at[:, None] - sample) / width) ** 2).sum(axis=1)
    rising = np.diff(density) > 0
    return int(np.sum(rising[:-1] & ~rising[1:]))


def _critical_bandwidth(sample: Floats) -> float:
    """Modes of a Gaussian kernel estimate get fewer as its bandwidth grows, so bisection finds where one is left."""
    low, high = 5e-3 * float(np.ptp(sample)), 2.0 * float(np.ptp(sample))
    for _ in range(24):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _modes(sample, middle) <= 1 else (middle, high)
    return high
