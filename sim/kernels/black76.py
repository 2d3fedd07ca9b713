"""European options on a forward: Black (1976) prices, greeks and implied volatility, compiled.

Prices are undiscounted (a premium paid at expiry); multiply by the discount factor for a premium paid now. The normal
distribution is Cody's (1969) rational approximation of the error function, accurate to double precision, so that the
same bits come out on every machine.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.realmath import exp, ln

_ROOT_HALF = 0.7071067811865476
_ROOT_TWO_PI = 2.5066282746310002
_ROOT_PI_INVERSE = 0.5641895835477563


@kernel()
def _erfc_positive(x):
    """Complementary error function for x >= 0."""
    if x <= 0.46875:
        z = x * x
        top = ((((1.85777706184603153e-1 * z + 3.16112374387056560) * z + 1.13864154151050156e2) * z
                + 3.77485237685302021e2) * z + 3.20937758913846947e3)  # fmt: skip
        bottom = (((z + 2.36012909523441209e1) * z + 2.44024637934444173e2) * z
                  + 1.28261652607737228e3) * z + 2.84423683343917062e3  # fmt: skip
        return 1.0 - x * top / bottom
    if x <= 4.0:
        top = 2.15311535474403846e-8
        for c in (5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
                  8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3):  # fmt: skip  # noqa: E501
            top = top * x + c
        bottom = 1.0
        for c in (1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
                  3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3):  # fmt: skip  # noqa: E501
            bottom = bottom * x + c
        ratio = top / bottom
    else:
        if x > 26.6:
            return 0.0
        z = 1.0 / (x * x)
        top = 1.63153871373020978e-2
        for c in (3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1, 1.60837851487422766e-2,
                  6.58749161529837803e-4):  # fmt: skip
            top = top * z + c
        bottom = 1.0
        for c in (2.56852019228982242, 1.87295284992346047, 5.27905102951428412e-1, 6.05183413124413191e-2,
                  2.33520497626869185e-3):  # fmt: skip
            bottom = bottom * z + c
        ratio = (_ROOT_PI_INVERSE - z * top / bottom) / x
    # split the square so that its rounding does not enter the exponential
    coarse = np.floor(x * 16.0) / 16.0
    rest = (x - coarse) * (x + coarse)
    return exp(-coarse * coarse) * exp(-rest) * ratio


@kernel()
def normal_cdf(x):
    """Standard normal distribution function."""
    tail = 0.5 * _erfc_positive(abs(x) * _ROOT_HALF)
    return tail if x < 0.0 else 1.0 - tail


@kernel()
def normal_density(x):
    """Standard normal density."""
    return exp(-0.5 * x * x) / _ROOT_TWO_PI


@kernel()
def black76(side, forward, strike, years, volatility):
    """Undiscounted price of a European option, in price units.

    Args:
        side: 1 call, -1 put.
        forward: forward price at expiry, above 0.
        strike: above 0.
        years: time to expiry, at least 0.
        volatility: per square root of a year, at least 0.
    """
    deviation = volatility * np.sqrt(years)
    if deviation <= 0.0:
        return max(side * (forward - strike), 0.0)
    d1 = ln(forward / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    return side * (forward * normal_cdf(side * d1) - strike * normal_cdf(side * d2))
