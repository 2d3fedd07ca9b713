"""How much margin moves for a constant portfolio, and how large a margin would not have to move.

Measures of Murphy, Vasios and Vause (2014), An investigation into the procyclicality of risk-based initial margin
models, Bank of England Financial Stability Paper 29: across the cycle (peak to trough) and over n days.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sim.errors import ConfigError


def peak_to_trough(margin: npt.ArrayLike) -> float:
    """Largest over smallest margin; infinite where the smallest is zero."""
    series = np.asarray(margin, float)
    lowest = float(series.min())
    return float(series.max()) / lowest if lowest > 0.0 else math.inf


def largest_increase(margin: npt.ArrayLike, days: int) -> float:
    """``max_t (M_t / M_(t-n) - 1)``; NaN where the series has no n days, or margin was zero."""
    series = np.asarray(margin, float)
    if len(series) <= days:
        return math.nan
    before, after = series[:-days], series[days:]
    return float(np.max(after / before - 1.0)) if np.all(before > 0.0) else math.nan


def largest_call(margin: npt.ArrayLike, days: int) -> float:
    """``max_t (M_t - M_(t-n))`` in the margin's own unit; NaN where the series has no n days."""
    series = np.asarray(margin, float)
    return float(np.max(series[days:] - series[:-days])) if len(series) > days else math.nan


def volatility_of_margin(margin: npt.ArrayLike) -> float:
    """Standard deviation of daily changes of the logarithm of margin; NaN where margin was zero or stands alone."""
    series = np.asarray(margin, float)
    if len(series) < 3 or np.any(series <= 0.0):
        return math.nan
    return float(np.std(np.diff(np.log(series)), ddof=1))


def ewma_step_response(decay: float, samples: int, ratio: float) -> float:
    """Expected (root mean square) volatility of an EWMA after volatility stepped up, over that before the step.

    ``sqrt(lambda^n + (1 - lambda^n) ratio^2)``

    Examples:
        >>> [round(ewma_step_response(decay, 30, 4.0), 3) for decay in (0.94, 0.97, 0.99)]
        [3.695, 3.16, 2.215]
    """
    kept = decay**samples
    return math.sqrt(kept + (1.0 - kept) * ratio * ratio)


@lru_cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Of Gauss-Legendre quadrature on [-1, 1]."""
    return np.polynomial.legendre.leggauss(400)


@lru_cache(maxsize=1024)
def tail_index(alpha: float, beta: float) -> float:
    """Exponent kappa of the tail ``P(X > x) ~ c x^(-kappa)`` of a GARCH(1,1) with normal innovations.

    It solves ``E[(alpha Z^2 + beta)^(kappa / 2)] = 1``. A margin that need not rise in a crisis must cover this
    unconditional tail; the smaller kappa, the larger the buffer over the conditional margin of calm days.

    Args:
        alpha: weight of the last squared return, above 0.
        beta: weight of the last variance, from 0.

    Raises:
        ConfigError: the parameters have no stationary solution, or are out of range.

    Examples:
        >>> round(tail_index(1 / 3**0.5, 0.0), 9), round(tail_index(0.1, 0.85), 3)
        (4.0, 9.072)

    Reference:
        Glasserman and Wu (2018), Persistence and procyclicality in margin requirements, Management Science 64.
    """
    from scipy.integrate import quad
    from scipy.optimize import brentq
    from scipy.special import logsumexp

    if not (0.0 < alpha < math.inf and 0.0 <= beta < math.inf):
        raise ConfigError.of("alpha, beta", f"{alpha}, {beta}", "alpha above 0 and beta from 0")

    def expectation(integrand: object) -> float:
        return 2.0 * float(quad(integrand, 0.0, math.inf, epsabs=1e-13, epsrel=1e-12, limit=400)[0])

    def drift(z: float) -> float:
        return math.log(alpha * z * z + beta) * math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) if z else 0.0

    if expectation(drift) >= 0.0:
        raise ConfigError.of("alpha, beta", f"{alpha}, {beta}", "parameters of a stationary process")

    # Gauss-Legendre nodes wide enough for the moments asked for: the integrand of moment kappa peaks near sqrt(kappa)
    nodes, weights = _nodes()

    def log_moment(kappa: float) -> float:
        top = math.sqrt(kappa) + 14.0
        z = 0.5 * top * (nodes + 1.0)
        with np.errstate(divide="ignore"):
            exponent = 0.5 * kappa * np.log(alpha * z * z + beta) - 0.5 * z * z
        return float(logsumexp(exponent, b=weights * top / math.sqrt(2.0 * math.pi)))

    low, high = 1e-3, 2.0
    while log_moment(high) < 0.0:
        low, high = high, 2.0 * high
        if high > 1e6:
            raise ConfigError.of("alpha, beta", f"{alpha}, {beta}", "parameters whose tail index is below 1e6")
    while log_moment(low) > 0.0:
        low /= 2.0
    return float(brentq(log_moment, low, high, xtol=1e-12, rtol=1e-14))
