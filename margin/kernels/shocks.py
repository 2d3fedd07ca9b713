"""Values of one lot of every contract under every shock, compiled."""

from __future__ import annotations

import numpy as np

from sim.kernels.black76 import black76
from sim.kernels.jit import kernel
from sim.kernels.state import INVERSE_FUTURE, INVERSE_OPTION, INVERSE_PERPETUAL, LINEAR_OPTION
from sim.kernels.wide import mul_shift_floor


@kernel()
def lot_values(kind, side, price, strike, unit, move, years, volatility, discount, value):
    """Value of one lot of each contract in each scenario, minor units of its settlement currency.

    Linear contracts and spot: ``unit x price``. Inverse: ``-unit / price`` (what a long owes in coins). Options:
    Black-76 on the moved forward, in price units (linear) or in coins (inverse).

    Args:
        kind: int64[C], codes of :data:`sim.contracts.KINDS`.
        side: int64[C], 1 call, -1 put, 0 no option.
        price: float64[C], mark, or the forward of an option, price units.
        strike: float64[C], price units.
        unit: float64[C], minor units per price unit and lot (inverse: minor units x price units per lot).
        move: float64[C, S], relative move of the price, above -1.
        years: float64[C, S], time to expiry left in the scenario.
        volatility: float64[C, S], per square root of a year.
        discount: float64[C, S], factor of an option's value.
        value: float64[C, S], mutated: the answer.
    """
    for c in range(move.shape[0]):
        for s in range(move.shape[1]):
            moved = price[c] * (1.0 + move[c, s])
            if kind[c] == INVERSE_PERPETUAL or kind[c] == INVERSE_FUTURE:
                value[c, s] = -unit[c] / moved
            elif kind[c] == LINEAR_OPTION or kind[c] == INVERSE_OPTION:
                premium = black76(side[c], moved, strike[c], years[c, s], volatility[c, s]) * discount[c, s]
                value[c, s] = unit[c] * (premium / moved if kind[c] == INVERSE_OPTION else premium)
            else:
                value[c, s] = unit[c] * moved


@kernel()
def converted(values, rate):
    """Amounts of each contract's settlement currency in the account currency, rounded to nearest.

    Args:
        values: int64[C, S], minor units.
        rate: int64[C], minor units of the account currency per minor unit, 2**-32.

    Returns:
        int64[C, S].
    """
    answer = np.empty_like(values)
    for c in range(values.shape[0]):
        for s in range(values.shape[1]):
            answer[c, s] = (mul_shift_floor(values[c, s], rate[c], 31) + 1) >> 1
    return answer
