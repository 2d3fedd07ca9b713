"""Full revaluation of contracts in scenarios: what 2**10 lots gain when price, volatility and time move."""

from __future__ import annotations

import numpy as np

from sim.kernels.black76 import black76, normal_cdf
from sim.kernels.jit import kernel
from sim.kernels.realmath import exp, ln
from sim.kernels.state import INVERSE_FUTURE, INVERSE_OPTION, INVERSE_PERPETUAL, LINEAR_OPTION


@kernel()
def option_price(kind, side, forward, strike, years, volatility, interest_rate):
    """Black-76 price of an option, price units (linear: discounted; inverse: coins); pay-off where the forward is gone.

    Args:
        kind: ``LINEAR_OPTION`` or ``INVERSE_OPTION``.
        side: 1 call, -1 put.
        forward: price units, any sign (above 0 for an inverse option).
        strike: price units.
        years: to expiry, at least 0.
        volatility: per square root of a year, at least 0.
        interest_rate: continuously compounded per year.
    """
    undiscounted = max(side * (forward - strike), 0.0)
    if forward > 0.0:
        undiscounted = black76(side, forward, strike, years, volatility)
    if kind == INVERSE_OPTION:
        return undiscounted / forward
    return undiscounted * exp(-interest_rate * years)


@kernel()
def option_delta(side, forward, strike, years, volatility, discount):
    """Change of an option's value in quote money per unit of the forward: ``discount x side x N(side x d1)``."""
    deviation = volatility * np.sqrt(years)
    if forward <= 0.0:
        return discount * min(side, 0)
    if deviation <= 0.0:
        return discount * side if side * (forward - strike) > 0.0 else 0.0
    d1 = ln(forward / strike) / deviation + 0.5 * deviation
    return discount * side * normal_cdf(side * d1)


@kernel()
def profits(
    kind, option, price, strike, years, years_after, volatility, interest_rate, tick_size, tick_value, move,
    volatility_move, cover,
):  # fmt: skip
    """Profit of 2**10 lots of each contract in each scenario.

    Args:
        kind: int64[C].
        option: int64[C], 1 call, -1 put, 0 none.
        price: float64[C], mark (options: forward), price units.
        strike: float64[C].
        years: float64[C], to expiry.
        years_after: float64[C], to expiry when the scenario is over.
        volatility: float64[C].
        interest_rate: per year.
        tick_size: float64[C].
        tick_value: int64[C].
        move: float64[C, S], change of the price, price units.
        volatility_move: float64[C, S], change of the volatility.
        cover: float64[S], part of the profit or loss that counts.

    Returns:
        float64[C, S], minor units of the settlement currency, rounded to nearest (whole numbers; the caller checks the
        range before it makes integers of them).
    """
    contracts, scenarios = move.shape
    found = np.empty((contracts, scenarios))
    for c in range(contracts):
        inverse = kind[c] == INVERSE_PERPETUAL or kind[c] == INVERSE_FUTURE
        is_option = kind[c] == LINEAR_OPTION or kind[c] == INVERSE_OPTION
        worth = np.float64(tick_value[c])
        now = 0.0
        if is_option:
            now = option_price(kind[c], option[c], price[c], strike[c], years[c], volatility[c], interest_rate)
        for s in range(scenarios):
            shocked = price[c] + move[c, s]
            if is_option:
                after = option_price(
                    kind[c], option[c], shocked, strike[c], years_after[c],
                    max(volatility[c] + volatility_move[c, s], 0.0), interest_rate,
                )  # fmt: skip
                gain = (after - now) / tick_size[c] * worth
            elif inverse:
                gain = worth * tick_size[c] * (1.0 / price[c] - 1.0 / shocked)
            else:
                gain = move[c, s] / tick_size[c] * worth
            found[c, s] = np.floor(gain * cover[s] * 1024.0 + 0.5)
    return found


@kernel()
def composite_deltas(option, price, strike, years_after, volatility, interest_rate, kind, move, weight):
    """Delta of each contract per unit of the underlying, averaged over price nodes.

    Args:
        option: int64[C].
        price: float64[C], mark (options: forward).
        strike: float64[C].
        years_after: float64[C], to expiry at the time of the revaluation.
        volatility: float64[C].
        interest_rate: per year.
        kind: int64[C].
        move: float64[C, N], change of the price at each node.
        weight: float64[N], sums to one.

    Returns:
        float64[C]: one for anything that is no option.
    """
    found = np.ones(len(option))
    for c in range(len(option)):
        if option[c] == 0:
            continue
        discount = exp(-interest_rate * years_after[c]) if kind[c] == LINEAR_OPTION else 1.0
        total = 0.0
        for n in range(len(weight)):
            total += weight[n] * option_delta(
                option[c], price[c] + move[c, n], strike[c], years_after[c], volatility[c], discount
            )
        found[c] = total
    return found
