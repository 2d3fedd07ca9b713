r"""The scenario grid of a portfolio rule.

Each contract c has a rate :math:`m_c`, the move that its maintenance covers when it stands alone. The grid holds

* **common moves**: all contracts move together, each by :math:`\pm f m_c`, for the sizes f in ``moves`` (thirds, as in
  CME SPAN) and, where ``extreme_move`` is given, by that multiple with only ``extreme_weight`` of the loss counted;
* **divergence moves**: every other pattern of signs, each contract by :math:`\pm (1 - o) m_c` with o the ``offset``.

The requirement is the largest loss. For linear contracts of signed value :math:`v_c` it has a closed form: the greater
of the net risk and of :math:`1 - o` of the gross risk,

.. math:: \max\left( \left|\sum_c m_c v_c\right|,\ (1 - o) \sum_c m_c |v_c| \right),

so a position alone costs its own rate, and a spread of equal risks :math:`1 - o` of what its legs cost apart: cheap,
but not free. From a correlation :math:`\rho` of two normal returns the offset is :math:`1 - \sqrt{(1 - \rho) / 2}`,
which charges the spread at the same quantile as an outright position. This grid is this project's own design; inner
moves never bind while all contracts are linear.

Options move with the contract that prices their underlying: they are revalued by Black-76 at its price in each
scenario, and each scenario is taken twice, with implied volatilities :math:`1 \pm v` times as high, v being
``volatility_move``; prices that stand still are a scenario too. An option and its underlying so form one factor, and
what they lose together is what a hedge leaves.
"""

from __future__ import annotations

from itertools import product
from math import floor

import numpy as np
from pydantic import Field, model_validator

from margin.kernels.columns import (
    BY_SCENARIO,
    MOVES_MAX,
    P_DIVERGENCE,
    P_EXTREME,
    P_EXTREME_WEIGHT,
    P_FACTOR_OF,
    P_FACTORS,
    P_INITIAL_FACTOR,
    P_LEADER,
    P_MOVE,
    P_MOVES,
    P_NETTING,
    P_STILL,
    P_VOLATILITY_MOVE,
)
from margin.kernels.publish import LEAST_PRICE
from margin.parameters import NonNegative, Parameters, Positive
from sim.contracts import TERM_REFERENCE, ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import MarketView
from sim.kernels.black76 import black76
from sim.kernels.realmath import exp
from sim.kernels.state import INVERSE_OPTION, RATE_ONE, SCENARIOS_MAX


class ScenarioParameters(Parameters):
    """Parameters of the grid."""

    offset: float | None = Field(None, ge=0.0, le=1.0, description="part of gross risk forgiven to a spread")
    correlation: float | None = Field(
        None, ge=-1.0, le=1.0, description="of the contracts' returns; implies the offset"
    )
    moves: tuple[Positive, ...] = Field(
        (1 / 3, 2 / 3, 1.0), min_length=1, max_length=MOVES_MAX, description="sizes of common moves in rates, up to 1"
    )
    extreme_move: NonNegative = Field(0.0, le=10.0, description="size of the extreme move in rates, 0: none")
    extreme_weight: float = Field(0.33, gt=0.0, le=1.0, description="part of the extreme loss that counts")
    volatility_move: float = Field(
        0.25, ge=0.0, lt=1.0, description="relative rise and fall of implied volatilities, where options are listed"
    )

    @model_validator(mode="after")
    def _one_offset(self) -> ScenarioParameters:
        if (self.offset is None) == (self.correlation is None):
            raise ValueError("exactly one of offset, correlation")
        if max(self.moves) != 1.0:
            raise ValueError("moves whose largest is 1, so that a position alone costs its own rate")
        return self

    @property
    def divergence(self) -> float:
        """Size of the divergence moves, one less the offset."""
        if self.offset is not None:
            return 1.0 - self.offset
        assert self.correlation is not None
        return float(np.sqrt((1.0 - self.correlation) / 2.0))


def write_scenarios(
    table: np.ndarray, params: ScenarioParameters, contracts: ContractTable, initial_over_maintenance: np.ndarray
) -> int:
    """Write the grid's columns of ``model_params``.

    Args:
        table: float64[C, K], mutated.
        params: the parameters.
        contracts: the contract table.
        initial_over_maintenance: float64[C], which must agree, since a grid has one factor.

    Returns:
        The number of scenarios.

    Raises:
        ConfigError: the contracts' rates do not share a ratio, or the grid would be too large.
    """
    factor = float(initial_over_maintenance[0])
    if np.any(np.abs(initial_over_maintenance - factor) > 1e-6 * factor):  # rates were rounded
        allowed = "rates with one ratio of initial to maintenance, since a scenario grid has one factor for both"
        raise ConfigError.of("margin.params.initial", initial_over_maintenance.tolist(), allowed)
    leader, factor_of = factors(contracts)
    number, derived = int(factor_of.max()) + 1, bool((leader != np.arange(len(leader))).any())
    volatility_move = params.volatility_move if derived else 0.0
    # what the size of each scenario is, in the order of the grid
    count = 2 * len(params.moves) + 2 * (params.extreme_move > 0.0) + 2**number - 2 + derived
    count *= 2 if volatility_move > 0.0 else 1
    if count > SCENARIOS_MAX:
        allowed = f"contracts whose grid has at most {SCENARIOS_MAX} scenarios (it has {count})"
        raise ConfigError.of("contracts", len(contracts.names), allowed)
    table[:, P_LEADER], table[:, P_FACTOR_OF], table[:, P_FACTORS] = leader, factor_of, number
    table[:, P_VOLATILITY_MOVE], table[:, P_STILL] = volatility_move, derived
    table[:, P_NETTING] = BY_SCENARIO
    table[:, P_INITIAL_FACTOR] = rate_to_units(factor)
    table[:, P_DIVERGENCE] = rate_to_units(params.divergence)
    table[:, P_EXTREME] = rate_to_units(params.extreme_move)
    table[:, P_EXTREME_WEIGHT] = rate_to_units(params.extreme_weight)
    table[:, P_MOVES] = len(params.moves)
    for i, move in enumerate(params.moves):
        table[:, P_MOVE + i] = rate_to_units(move)
    return count


def factors(contracts: ContractTable) -> tuple[np.ndarray, np.ndarray]:
    """For each contract, whose moves it follows and the number of that factor, int64[C] each.

    An option follows the contract that prices its underlying; every other contract is a factor of its own.
    """
    own = np.arange(len(contracts.names))
    leader = own.copy()
    if contracts.option_terms is not None:
        leader = np.where(contracts.is_option, contracts.option_terms[:, TERM_REFERENCE], own)
    number = np.cumsum(leader == own) - 1
    return leader, number[leader]


def joint_moves(params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The grid in units of the rate of each contract (of options: of the contract that prices their underlying).

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.

    Returns:
        Signed sizes int64[C, S] and weights int64[S], both in 2**-32.
    """
    common = params[0].astype(np.int64)
    contracts = int(common[P_FACTORS])
    sizes = [(int(common[P_MOVE + i]), RATE_ONE) for i in range(int(common[P_MOVES]))]
    if common[P_EXTREME] > 0:
        sizes.append((int(common[P_EXTREME]), int(common[P_EXTREME_WEIGHT])))
    columns = [([sign * size] * contracts, weight) for size, weight in sizes for sign in (1, -1)]
    for signs in product((-1, 1), repeat=contracts):
        if len(set(signs)) > 1:
            # the last contract's sign changes slowest
            columns.append(([sign * int(common[P_DIVERGENCE]) for sign in reversed(signs)], RATE_ONE))
    if common[P_STILL]:
        columns.append(([0] * contracts, RATE_ONE))
    columns *= len(volatility_moves(params))
    moves = np.array([column for column, _ in columns], np.int64).T
    return moves[params[:, P_FACTOR_OF].astype(np.int64)], np.array([weight for _, weight in columns], np.int64)


def volatility_moves(params: np.ndarray) -> tuple[float, ...]:
    """What implied volatilities are multiplied by in each copy of the grid."""
    move = float(params[0, P_VOLATILITY_MOVE])
    return (1.0 + move, 1.0 - move) if move > 0.0 else (1.0,)


def option_profits(
    size: np.ndarray, factor: np.ndarray, rate: int, side: int, spot: float, strike: float, years: float,
    volatility: float, interest: float, worth: float, in_coin: bool,
) -> np.ndarray:  # fmt: skip
    """Profits of 2**10 lots of an option over the grid, int64[S] minor units, to nearest: Black-76 less what it is now.

    Args:
        size: int64[S], signed move of the underlying in 2**-32 of ``rate``.
        factor: float64[S], what the volatility is multiplied by.
        rate: of the contract that prices the underlying, 2**-32.
        side: 1 call, -1 put.
        spot: price of the underlying.
        strike: in the same units.
        years: to expiry.
        volatility: implied.
        interest: per year.
        worth: minor units of 2**10 lots per unit of the option's price.
        in_coin: inverse options, whose premium is in the coin.
    """
    growth = float(exp(interest * years))

    def value(price: float, deviation: float) -> float:
        found = float(black76(float(side), price * growth, strike, years, deviation))
        return found / (price * growth) if in_coin else found * float(exp(-interest * years))

    now = value(spot, volatility)
    profits = []
    for units, times in zip(size.tolist(), factor.tolist(), strict=True):
        move = max(1.0 + (units / RATE_ONE) * (rate / RATE_ONE), LEAST_PRICE)
        profits.append(floor((value(spot * move, volatility * times) - now) * worth + 0.5))
    return np.array(profits, np.int64)


def grid(
    moves: np.ndarray, rates: np.ndarray, mark: np.ndarray, tick_value: np.ndarray, inverse: np.ndarray | None = None
) -> np.ndarray:
    """Scenario profits: the readable form of the compiled grid.

    Args:
        moves: int64[C, S], signed sizes in 2**-32 of the contract's rate.
        rates: int64[C], maintenance rates, 2**-32.
        mark: int64[C], sub-ticks.
        tick_value: int64[C], minor units per tick and lot.
        inverse: bool[C], coin-margined contracts, which gain V x / (1 + x) of their value V for a move x; default none.

    Returns:
        int64[C, S], minor units per 2**10 lots, rounded towards zero.
    """
    profit = np.zeros(moves.shape, np.int64)
    for c, s in np.ndindex(*moves.shape):
        coins = inverse is not None and bool(inverse[c])
        if coins:
            value = (2 * 1024 * int(tick_value[c]) * 16 + int(mark[c])) // (2 * int(mark[c]))
        else:
            value = int(mark[c]) * int(tick_value[c]) * 64
        full = value * int(rates[c]) >> 32
        size = int(moves[c, s])
        part = full * abs(size) >> 32
        if coins:
            move = int(rates[c]) * abs(size) >> 32
            part = (part << 32) // ((1 << 32) + move if size > 0 else max((1 << 32) - move, 1 << 16))
        profit[c, s] = part if size > 0 else -part
    return profit


def with_options(
    profit: np.ndarray, params: np.ndarray, moves: np.ndarray, rates: np.ndarray, contracts: ContractTable,
    market: MarketView,
) -> np.ndarray:  # fmt: skip
    """The grid with the rows of options filled in (``profit`` is mutated and returned).

    Args:
        profit: int64[C, S], from :func:`grid`.
        params: float64[C, K].
        moves: int64[C, S], from :func:`joint_moves`.
        rates: int64[C], maintenance rates, 2**-32.
        contracts: the contract table.
        market: prices of the underlyings, volatilities and times.
    """
    leader = params[:, P_LEADER].astype(np.int64)
    if (leader == np.arange(len(leader))).all():
        return profit
    copies = volatility_moves(params)
    factor = np.repeat(copies, moves.shape[1] // len(copies))
    spot, years, volatility = (
        np.asarray(x, float) for x in (market.spot, market.time_to_expiry, market.implied_volatility)
    )
    for c in np.flatnonzero(leader != np.arange(len(leader))):
        worth = float(contracts.tick_value[c]) * 1024.0 / float(contracts.tick_size[c])
        profit[c] = option_profits(
            moves[c], factor, int(rates[leader[c]]), int(contracts.option[c]), float(spot[c]),
            float(contracts.strike[c]), float(years[c]), float(volatility[c]), float(market.interest_rate), worth,
            int(contracts.kind[c]) == INVERSE_OPTION,
        )  # fmt: skip
    return profit
