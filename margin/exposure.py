"""What one lot of each contract gains or loses when its underlying moves: to first order, or repriced."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import exp, log, sqrt

import numpy as np

from sim.contracts import ContractTable
from sim.interfaces import MarketView
from sim.kernels.black76 import black76, normal_cdf
from sim.kernels.state import INVERSE_OPTION


def _worth(
    side: int, strike: float, years: float, volatility: float, discount: float, inverse: bool, at: float
) -> float:
    """Black-76 value of one option at a forward price, in quote, or in coin for an inverse option."""
    found = float(black76(side, at, strike, years, volatility)) * discount
    return found / at if inverse else found


def _option(market: MarketView, contracts: ContractTable, c: int) -> tuple[Callable[[float], float], float]:
    """Value of option ``c`` as a function of the forward price, and the forward price now."""
    years, inverse = float(market.time_to_expiry[c]), bool(contracts.kind[c] == INVERSE_OPTION)
    discount = 1.0 if inverse else exp(-market.interest_rate * years)
    terms = (int(contracts.option[c]), float(contracts.strike[c]), years, float(market.implied_volatility[c]))
    return partial(_worth, *terms, discount, inverse), float(market.forward[c])


def slopes(market: MarketView, contracts: ContractTable, price: np.ndarray) -> np.ndarray:
    """Change of value of one long lot for a small log return of its underlying, options by their Black-76 delta.

    Args:
        market: forwards, implied volatilities, times to expiry.
        contracts: the contract table.
        price: float64[C], marks in price units.

    Returns:
        float64[C], units of each contract's settlement currency; an inverse option's value in coin also falls because
        the coin is worth more.
    """
    slope: np.ndarray = contracts.lot_size * np.where(contracts.inverse, 1.0 / price, price)
    for c in np.flatnonzero(contracts.is_option):
        side, forward = int(contracts.option[c]), float(market.forward[c])
        years = float(market.time_to_expiry[c])
        deviation = float(market.implied_volatility[c]) * sqrt(years)
        if deviation <= 0.0:  # expired
            slope[c] = 0.0
            continue
        delta = side * float(
            normal_cdf(side * (log(forward / float(contracts.strike[c])) / deviation + 0.5 * deviation))
        )
        if contracts.kind[c] == INVERSE_OPTION:
            slope[c] = contracts.lot_size[c] * (delta - price[c])
        else:
            slope[c] = contracts.lot_size[c] * delta * exp(-market.interest_rate * years) * forward
    return slope


def profits(market: MarketView, contracts: ContractTable, price: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Profit of one long lot in each joint move, options repriced at their own volatility and time.

    Args:
        market: forwards, implied volatilities, times to expiry.
        contracts: the contract table.
        price: float64[C], marks in price units.
        moves: float64[S, C], log returns of each contract's underlying.

    Returns:
        float64[C, S], units of each contract's settlement currency.
    """
    factor = np.exp(moves.T)
    inverse = (1.0 - 1.0 / factor) / price[:, None]
    profit: np.ndarray = np.where(contracts.inverse[:, None], inverse, (factor - 1.0) * price[:, None])
    for c in np.flatnonzero(contracts.is_option):
        worth, forward = _option(market, contracts, int(c))
        profit[c] = [worth(forward * float(one)) - worth(forward) for one in factor[c]]
    scaled: np.ndarray = profit * contracts.lot_size[:, None]
    return scaled
