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


@kernel()
def black76_greeks(side, forward, strike, years, volatility):
    """Undiscounted price of a European option and its derivatives.

    Args:
        side: 1 call, -1 put.
        forward: forward price at expiry, above 0.
        strike: above 0.
        years: time to expiry, at least 0.
        volatility: per square root of a year, at least 0.

    Returns:
        Price; delta and gamma by the forward; vega by volatility (for a change of one, that is of 100 points); decay,
        the derivative by time to expiry at a given forward (theta is its negative). Without time or volatility delta is
        that of the pay-off (a half at the strike) and the other derivatives are zero.
    """
    root = np.sqrt(years)
    deviation = volatility * root
    if deviation <= 0.0:
        moneyness = side * (forward - strike)
        delta = 0.5 * side if moneyness == 0.0 else (np.float64(side) if moneyness > 0.0 else 0.0)
        return max(moneyness, 0.0), delta, 0.0, 0.0, 0.0
    d1 = ln(forward / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    delta = side * normal_cdf(side * d1)
    density = normal_density(d1)
    price = forward * delta - side * strike * normal_cdf(side * d2)
    return (
        price, delta, density / (forward * deviation), forward * density * root,
        forward * density * volatility / (2.0 * root),
    )  # fmt: skip


@kernel()
def black76_second(side, forward, strike, years, volatility):
    """Second-order greeks of an undiscounted European option, the same for calls and puts.

    Args:
        side: 1 call, -1 put; taken as those of the other functions are, without effect.
        forward: forward price at expiry, above 0.
        strike: above 0.
        years: time to expiry, at least 0.
        volatility: per square root of a year, at least 0.

    Returns:
        Vanna, of delta by volatility (and of vega by the forward); volga, of vega by volatility; charm, of delta by
        calendar time at a given forward, per year. Zero without time or volatility.
    """
    root = np.sqrt(years)
    deviation = volatility * root
    if deviation <= 0.0:
        return 0.0, 0.0, 0.0
    d1 = ln(forward / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    density = normal_density(d1)
    return -density * d2 / volatility, forward * density * root * d1 * d2 / volatility, density * d2 / (2.0 * years)


@kernel()
def inverse_premium(side, forward, strike, years, volatility):
    """Premium in coin of an option that pays off in the coin, ``max(0, side (S - K)) / S``: the price over the forward.

    Args: as :func:`black76`.
    """
    return black76(side, forward, strike, years, volatility) / forward


@kernel()
def implied_volatility(side, price, forward, strike, years):
    """Volatility at which :func:`black76` gives a price; NaN where none does.

    Newton's method on the logarithm of the out-of-the-money price (an in-the-money price is brought there by put-call
    parity), kept inside a bracket that halves whenever a step would leave it, until the bracket or the step is below
    1e-15 of the deviation.

    Args:
        side: 1 call, -1 put.
        price: undiscounted, price units.
        forward: above 0.
        strike: above 0.
        years: time to expiry, above 0.

    Returns:
        Volatility per square root of a year; zero for the value of the pay-off at the forward; NaN below it, at or
        above the largest price (the forward for a call, the strike for a put), and for arguments out of range.
    """
    if not (price >= 0.0 and forward > 0.0 and strike > 0.0 and years > 0.0 and price < np.inf):
        return np.nan
    outer = 1 if forward <= strike else -1
    wanted = price - max(side * (forward - strike), 0.0)
    if wanted < 0.0 and wanted > -4e-16 * (forward + strike):
        wanted = 0.0
    if wanted == 0.0:
        return 0.0
    if not (wanted > 0.0 and wanted < min(forward, strike)):
        return np.nan
    target = ln(wanted)
    low, high = 0.0, 1.0
    while black76(outer, forward, strike, 1.0, high) < wanted:
        low = high
        high *= 2.0
        if high > 128.0:
            return np.nan  # the price differs from its bound by less than a rounding
    # the deviation at which vega is largest (Manaster and Koehler 1982), or the at-the-money approximation
    guess = np.sqrt(2.0 * abs(ln(forward / strike)))
    guess = max(guess, wanted * _ROOT_TWO_PI / min(forward, strike))
    if not (guess > low and guess < high):
        guess = 0.5 * (low + high)
    for _ in range(200):
        found, _, _, vega, _ = black76_greeks(outer, forward, strike, 1.0, guess)
        if found < wanted:
            low = guess
        else:
            high = guess
        step = 0.5 * (low + high)
        if found > 0.0 and vega > 0.0:
            newton = guess - (ln(found) - target) * found / vega
            if newton > low and newton < high:
                step = newton
        moved = abs(step - guess)
        guess = step
        if moved <= 1e-15 * guess or high - low <= 1e-15 * high:
            break
    return guess / np.sqrt(years)
