"""Series of known truth: fractional noise, split order flow, GARCH, prices from returns."""

from __future__ import annotations

from functools import cache

import numpy as np


def fractional_noise(n: int, hurst: float, seed: int) -> np.ndarray:
    """Fractional Gaussian noise of unit variance by circulant embedding (Davies and Harte 1987), float64[n]."""
    rng = np.random.default_rng(seed)
    k = np.arange(n + 1)
    covariance = 0.5 * (np.abs(k - 1.0) ** (2 * hurst) - 2.0 * k ** (2 * hurst) + (k + 1.0) ** (2 * hurst))
    row = np.concatenate((covariance, covariance[-2:0:-1]))
    power = np.fft.fft(row).real
    noise = rng.normal(size=len(row)) + 1j * rng.normal(size=len(row))
    return np.fft.fft(np.sqrt(np.maximum(power, 0.0) / len(row)) * noise).real[:n]


@cache
def split_signs(n: int, alpha: float, parents: int, seed: int) -> np.ndarray:
    """Signs of parents with Pareto lengths of exponent alpha, each step a random one's child: decay alpha - 1."""
    rng = np.random.default_rng(seed)
    left = np.ceil(rng.pareto(alpha, parents) + 1.0)
    sign = rng.choice([-1.0, 1.0], parents)
    who = rng.integers(0, parents, n)
    found = np.empty(n)
    for i, parent in enumerate(who):
        found[i] = sign[parent]
        left[parent] -= 1
        if left[parent] <= 0:
            left[parent] = np.ceil(rng.pareto(alpha) + 1.0)
            sign[parent] = rng.choice([-1.0, 1.0])
    return found


def prices(returns: np.ndarray, start: float = 100.0) -> np.ndarray:
    """Prices whose logarithmic returns these are, float64[n + 1]."""
    return start * np.exp(np.concatenate(([0.0], np.cumsum(returns))))
