"""European options: prices, greeks and implied volatilities of whole arrays, linear and inverse.

Every function takes numbers or arrays that broadcast against each other and returns float64 of the common shape. The
compiled functions behind them are those that margin rules and the market use (:mod:`sim.kernels.black76`).

Units: prices and strikes in price units, time in years of 365 days, volatility per square root of a year (0.2 is 20 %),
rates continuously compounded per year. Vega and rho are for a change of one (100 points), theta is per year.

Black, F. (1976), The pricing of commodity contracts, Journal of Financial Economics 3:167-179. Black, F. and Scholes,
M. (1973), The pricing of options and corporate liabilities, Journal of Political Economy 81:637-654.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.errors import ConfigError
from sim.kernels import black76 as kernels
from sim.kernels.jit import kernel

Numbers = npt.ArrayLike


@dataclass(frozen=True, slots=True)
class Greeks:
    """Price of an option and its derivatives, float64 of one shape.

    Attributes:
        price: price units of the underlying (inverse: coins).
        delta: by the price of the underlying.
        gamma: second derivative by the price of the underlying.
        vega: by volatility.
        theta: by calendar time, per year.
        rho: by the interest rate, the price of the underlying (spot, or forward for Black-76) unchanged.
    """

    price: np.ndarray
    delta: np.ndarray
    gamma: np.ndarray
    vega: np.ndarray
    theta: np.ndarray
    rho: np.ndarray


@kernel()
def _prices(side, forward, strike, years, volatility, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        out[i] = kernels.black76(side[i], forward[i], strike[i], years[i], volatility[i])


@kernel()
def _greeks(side, forward, strike, years, volatility, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        price, delta, gamma, vega, decay = kernels.black76_greeks(
            side[i], forward[i], strike[i], years[i], volatility[i]
        )
        out[i, 0], out[i, 1], out[i, 2], out[i, 3], out[i, 4] = price, delta, gamma, vega, decay


@dataclass(frozen=True, slots=True)
class SecondGreeks:
    """Second-order greeks of an option, float64 of one shape.

    Attributes:
        vanna: derivative of delta by volatility.
        volga: second derivative of the price by volatility (also vomma).
        charm: derivative of delta by calendar time, per year.
    """

    vanna: np.ndarray
    volga: np.ndarray
    charm: np.ndarray


@kernel()
def _second(side, forward, strike, years, volatility, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        vanna, volga, charm = kernels.black76_second(side[i], forward[i], strike[i], years[i], volatility[i])
        out[i, 0], out[i, 1], out[i, 2] = vanna, volga, charm


@kernel()
def _implied(side, price, forward, strike, years, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        out[i] = kernels.implied_volatility(side[i], price[i], forward[i], strike[i], years[i])


_SIDES = {"call": 1.0, "put": -1.0, "1": 1.0, "-1": -1.0, "1.0": 1.0, "-1.0": -1.0}


def _side(option: Any) -> np.ndarray:
    """1 for calls and -1 for puts, from those numbers or from ``"call"`` and ``"put"``."""
    given = np.asarray(option)
    flat = [_SIDES.get(str(one), 0.0) for one in given.ravel()]
    if 0.0 in flat:
        raise ConfigError.of("option", str(given.ravel()[flat.index(0.0)]), 'a "call" or a "put" (or 1 or -1)')
    return np.array(flat, np.float64).reshape(given.shape)


def _arrays(option: Any, **given: Numbers) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """The side and the other arguments, checked, broadcast and flat; and their common shape."""
    values = {name: np.asarray(value, np.float64) for name, value in given.items()}
    for name, array in values.items():
        lowest, allowed = (0.0, "above 0") if name in ("forward", "spot", "strike") else (-1.0, "at least 0")
        bad = ~np.isfinite(array) | (array <= lowest) | ((array < 0.0) & (name in ("years", "volatility")))
        if name in ("rate", "carry", "price"):
            bad, allowed = ~np.isfinite(array), "a finite number"
        if bad.any():
            raise ConfigError.of(name, float(array[bad].flat[0]), f"a number {allowed}")
    spread = np.broadcast_arrays(_side(option), *values.values())
    return spread[0].shape, [np.ascontiguousarray(one, np.float64).ravel() for one in spread]


def _shaped(shape: tuple[int, ...], *flat: np.ndarray) -> list[np.ndarray]:
    return [one.reshape(shape) for one in flat]


def black76_price(
    option: Any, forward: Numbers, strike: Numbers, years: Numbers, volatility: Numbers, rate: Numbers = 0.0
) -> np.ndarray:
    """Price of European options on a forward (Black 1976), discounted at ``rate``.

    Args:
        option: ``"call"`` or ``"put"`` (1 or -1), or an array of them.
        forward: forward price at expiry.
        strike: strike price.
        years: time to expiry, at least 0.
        volatility: per square root of a year, at least 0.
        rate: interest rate at which the premium is discounted; 0 for a premium paid at expiry.

    Raises:
        ConfigError: an argument is out of range.

    Examples:
        >>> black76_price(["call", "put"], 100.0, 100.0, 1.0, 0.2).round(6).tolist()
        [7.965567, 7.965567]
    """
    shape, (side, f, k, t, v, r) = _arrays(
        option, forward=forward, strike=strike, years=years, volatility=volatility, rate=rate
    )
    out = np.empty(len(side))
    _prices(side, f, k, t, v, out)
    return _shaped(shape, out * np.exp(-r * t))[0]


def black76_greeks(
    option: Any, forward: Numbers, strike: Numbers, years: Numbers, volatility: Numbers, rate: Numbers = 0.0
) -> Greeks:
    """Price and greeks by the forward (arguments as :func:`black76_price`)."""
    shape, (side, f, k, t, v, r) = _arrays(
        option, forward=forward, strike=strike, years=years, volatility=volatility, rate=rate
    )
    raw = np.empty((len(side), 5))
    _greeks(side, f, k, t, v, raw)
    discount = np.exp(-r * t)
    price, delta, gamma, vega, decay = (raw[:, i] * discount for i in range(5))
    return Greeks(*_shaped(shape, price, delta, gamma, vega, r * price - decay, -t * price))


def black76_second(
    option: Any, forward: Numbers, strike: Numbers, years: Numbers, volatility: Numbers, rate: Numbers = 0.0
) -> SecondGreeks:
    """Vanna, volga and charm by the forward (arguments as :func:`black76_price`).

    Examples:
        >>> float(black76_second("call", 100.0, 100.0, 0.25, 0.4).volga.round(6))
        -0.496191
    """
    shape, (side, f, k, t, v, r) = _arrays(
        option, forward=forward, strike=strike, years=years, volatility=volatility, rate=rate
    )
    raw, first = np.empty((len(side), 3)), np.empty((len(side), 5))
    _second(side, f, k, t, v, raw)
    _greeks(side, f, k, t, v, first)
    discount = np.exp(-r * t)
    return SecondGreeks(
        *_shaped(shape, discount * raw[:, 0], discount * raw[:, 1], discount * (raw[:, 2] + r * first[:, 1]))
    )


def black_scholes_price(
    option: Any,
    spot: Numbers,
    strike: Numbers,
    years: Numbers,
    volatility: Numbers,
    rate: Numbers = 0.0,
    carry: Numbers | None = None,
) -> np.ndarray:
    """Price of European options on a spot price (Black and Scholes 1973, with cost of carry).

    Args:
        option: ``"call"`` or ``"put"`` (1 or -1), or an array of them.
        spot: price of the underlying now.
        strike: strike price.
        years: time to expiry, at least 0.
        volatility: per square root of a year, at least 0.
        rate: interest rate.
        carry: growth rate of the forward: ``rate`` less the yield of the underlying; default ``rate``.

    Raises:
        ConfigError: an argument is out of range.

    Examples:
        >>> float(black_scholes_price("call", 42.0, 40.0, 0.5, 0.2, rate=0.1).round(6))
        4.759422
    """
    return black_scholes_greeks(option, spot, strike, years, volatility, rate, carry).price


def black_scholes_greeks(
    option: Any,
    spot: Numbers,
    strike: Numbers,
    years: Numbers,
    volatility: Numbers,
    rate: Numbers = 0.0,
    carry: Numbers | None = None,
) -> Greeks:
    """Price and greeks by the spot price (arguments as :func:`black_scholes_price`).

    Rho is at an unchanged yield of the underlying, so that the carry moves with the rate.

    Examples:
        >>> float(black_scholes_greeks("call", 49.0, 50.0, 0.3846, 0.2, rate=0.05).delta.round(6))
        0.521602
    """
    shape, (side, s, k, t, v, r, b) = _arrays(
        option, spot=spot, strike=strike, years=years, volatility=volatility, rate=rate,
        carry=rate if carry is None else carry,
    )  # fmt: skip
    growth, discount = np.exp(b * t), np.exp(-r * t)
    forward = s * growth
    raw = np.empty((len(side), 5))
    _greeks(side, forward, k, t, v, raw)
    price, by_forward, gamma, vega, decay = (raw[:, i] * discount for i in range(5))
    theta = r * price - by_forward * forward * b - decay
    rho = t * (by_forward * forward - price)
    return Greeks(*_shaped(shape, price, by_forward * growth, gamma * growth * growth, vega, theta, rho))


def inverse_price(option: Any, forward: Numbers, strike: Numbers, years: Numbers, volatility: Numbers) -> np.ndarray:
    """Premium in coin of options that settle in the coin, ``max(0, S - K) / S`` for a call: Black-76 over the forward.

    Examples:
        >>> float(inverse_price("call", 100.0, 100.0, 1.0, 0.2).round(8))
        0.07965567
    """
    return black76_price(option, forward, strike, years, volatility) / np.asarray(forward, np.float64)


def inverse_greeks(option: Any, forward: Numbers, strike: Numbers, years: Numbers, volatility: Numbers) -> Greeks:
    """Premium in coin and its greeks.

    ``delta`` is in coin: what the position gains in coin per relative rise of the forward, ``F dc/dF = N(d1) - c`` for
    a call of premium c, which is the size in coin of the future that hedges it. ``gamma`` is its change with the
    forward, ``vega`` and ``theta`` are in coin, ``rho`` is zero: coin is not discounted.
    """
    g = black76_greeks(option, forward, strike, years, volatility)
    f = np.asarray(forward, np.float64)
    coins = g.price / f
    delta = g.delta - coins
    gamma = g.gamma - delta / f
    return Greeks(coins, delta, gamma, g.vega / f, g.theta / f, np.zeros_like(coins))


def inverse_second(option: Any, forward: Numbers, strike: Numbers, years: Numbers, volatility: Numbers) -> SecondGreeks:
    """Vanna, volga and charm of a premium in coin, of the delta in coin of :func:`inverse_greeks`."""
    g = black76_greeks(option, forward, strike, years, volatility)
    second = black76_second(option, forward, strike, years, volatility)
    f = np.asarray(forward, np.float64)
    return SecondGreeks(second.vanna - g.vega / f, second.volga / f, second.charm - g.theta / f)


def implied_volatility(
    option: Any, price: Numbers, forward: Numbers, strike: Numbers, years: Numbers, rate: Numbers = 0.0
) -> np.ndarray:
    """Volatility at which Black-76 gives a price.

    Args:
        option: ``"call"`` or ``"put"`` (1 or -1), or an array of them.
        price: price of the option now (inverse options: premium in coin times the forward).
        forward: forward price at expiry.
        strike: strike price.
        years: time to expiry.
        rate: interest rate at which the premium was discounted.

    Returns:
        Per square root of a year; 0 where the price is that of the pay-off at the forward; NaN where the price lies
        outside the bounds that absence of arbitrage sets (below the discounted pay-off at the forward, or not below the
        discounted forward for a call, strike for a put), and where there is no time left.

    Raises:
        ConfigError: an argument is not a finite number, or forward or strike is not above 0.

    Examples:
        >>> float(implied_volatility("put", black76_price("put", 90.0, 100.0, 0.25, 0.8), 90.0, 100.0, 0.25).round(12))
        0.8
        >>> float(implied_volatility("call", 9.99, 110.0, 100.0, 0.25))
        nan
    """
    shape, (side, p, f, k, t, r) = _arrays(option, price=price, forward=forward, strike=strike, years=years, rate=rate)
    out = np.empty(len(side))
    _implied(side, p * np.exp(r * t), f, k, t, out)
    return _shaped(shape, out)[0]
