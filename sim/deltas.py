"""Deltas of options in lots of the contract that hedges them, at the present price and at others.

What a price moves is taken relatively: at ``factor`` 0.95 the underlying of every option, and the contract that hedges
it, stand 5 % lower than now. Volatilities, time and the rates between currencies stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sim.kernels import marks, values
from sim.kernels import state as s
from sim.kernels.realmath import exp
from sim.options import black76_greeks

if TYPE_CHECKING:
    from sim.market import Market


def live_options(market: Market, contract: int = 0) -> list[int]:
    """Numbers of the options on the underlying of a contract that are listed and have not expired."""
    table, step = market.state.contracts, int(market.state.meta[s.M_STEP])
    reference = int(table["reference"][contract])
    return [
        k
        for k, terms in enumerate(market.contracts)
        if terms.is_option
        and int(table["reference"][k]) == reference
        and terms.listing_step <= step < terms.expiry_step
    ]


def hedge_lots(market: Market, contract: int, options: Sequence[int], factors: npt.ArrayLike) -> np.ndarray:
    """Lots of a contract that have the same delta as one lot of each option.

    Linear options and contracts have the derivative of their value by the price, inverse ones that of their value in
    coin by the logarithm of the price (for an option of premium c, N(d1) - c). Greeks are those of Black-76 on the
    forward at the volatility at which the option is marked; within the settlement window, of what is not averaged yet.

    Args:
        market: the market, between two steps.
        contract: number of the perpetual or future in which deltas are hedged.
        options: numbers of options on the same underlying.
        factors: prices over the present ones, above 0.

    Returns:
        float64[options, factors], positive for calls.
    """
    state = market.state
    table, step = state.contracts, int(state.meta[s.M_STEP])
    at = np.atleast_1d(np.asarray(factors, np.float64))
    out = np.zeros((len(options), at.size))
    if not options:
        return out
    own = table[contract]
    rate = float(state.conversion[int(own["currency"])])
    mark = float(state.quotes["mark"][contract])
    for row, k in enumerate(options):
        terms = table[k]
        years = max(int(terms["expiry"]) - step, 0) * float(terms["years_per_step"])
        growth = float(exp(float(terms["interest_rate"]) * years))
        moving = float(values.underlying_price(state, k)) * at
        spot = np.array([marks.expected_final(state, k, price) for price in moving.tolist()])
        moving *= marks.open_share(state, k)
        found = black76_greeks(
            float(terms["option"]), spot * growth, float(terms["strike"]), years, float(terms["volatility"])
        )
        per_point = float(terms["payoff"]) / float(terms["divisor"])
        # by the logarithm of the price, minor units of the settlement currency
        if market.contracts[k].kind == "inverse_option":
            delta = per_point * (found.delta - found.price / (spot * growth)) * moving / spot
        else:
            delta = per_point * found.delta * moving
        if market.contracts[contract].is_inverse:
            lot = float(own["tick_value"]) * s.SUBTICKS / (mark * at)
        else:
            lot = float(own["tick_value"]) * (mark * at) / s.SUBTICKS
        out[row] = delta * float(state.conversion[int(terms["currency"])]) / (lot * rate)
    return out
