"""Scaling: the Hurst exponent by detrended fluctuation analysis or by the rescaled range.

References:
    Peng, C.-K. et al. (1994). Mosaic organization of DNA nucleotides. Phys. Rev. E 49, 1685 (detrended fluctuations).
    Hurst, H. E. (1951). Long-term storage capacity of reservoirs. Trans. ASCE 116, 770-808 (rescaled range).
    Anis, A. A. and Lloyd, E. H. (1976). The expected value of the adjusted rescaled Hurst range of independent normal
        summands. Biometrika 63(1), 111-116.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.facts.arrays import Array, finite, line


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
    series = finite(x)
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
    slope, _, se = line(np.log(scales[kept]), logs)
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
