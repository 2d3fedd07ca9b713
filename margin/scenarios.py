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
"""

from __future__ import annotations

from itertools import product

import numpy as np
from pydantic import Field, model_validator

from margin.kernels.columns import (
    BY_SCENARIO,
    MOVES_MAX,
    P_DIVERGENCE,
    P_EXTREME,
    P_EXTREME_WEIGHT,
    P_INITIAL_FACTOR,
    P_MOVE,
    P_MOVES,
    P_NETTING,
)
from margin.parameters import NonNegative, Parameters, Positive
from sim.contracts import ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.kernels.state import RATE_ONE, SCENARIOS_MAX


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
    count = 2 * len(params.moves) + 2 * (params.extreme_move > 0.0) + 2 ** len(contracts.names) - 2
    if count > SCENARIOS_MAX:
        allowed = f"contracts whose grid has at most {SCENARIOS_MAX} scenarios (it has {count})"
        raise ConfigError.of("contracts", len(contracts.names), allowed)
    table[:, P_NETTING] = BY_SCENARIO
    table[:, P_INITIAL_FACTOR] = rate_to_units(factor)
    table[:, P_DIVERGENCE] = rate_to_units(params.divergence)
    table[:, P_EXTREME] = rate_to_units(params.extreme_move)
    table[:, P_EXTREME_WEIGHT] = rate_to_units(params.extreme_weight)
    table[:, P_MOVES] = len(params.moves)
    for i, move in enumerate(params.moves):
        table[:, P_MOVE + i] = rate_to_units(move)
    return count


def joint_moves(params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The grid in units of each contract's own rate.

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.

    Returns:
        Signed sizes int64[C, S] and weights int64[S], both in 2**-32.
    """
    contracts, common = len(params), params[0].astype(np.int64)
    sizes = [(int(common[P_MOVE + i]), RATE_ONE) for i in range(int(common[P_MOVES]))]
    if common[P_EXTREME] > 0:
        sizes.append((int(common[P_EXTREME]), int(common[P_EXTREME_WEIGHT])))
    columns = [([sign * size] * contracts, weight) for size, weight in sizes for sign in (1, -1)]
    for signs in product((-1, 1), repeat=contracts):
        if len(set(signs)) > 1:
            # the last contract's sign changes slowest
            columns.append(([sign * int(common[P_DIVERGENCE]) for sign in reversed(signs)], RATE_ONE))
    moves = np.array([column for column, _ in columns], np.int64).T
    return moves, np.array([weight for _, weight in columns], np.int64)


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
