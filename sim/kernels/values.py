"""Values at mark: the one rule of what lots are worth, and which row of the published risk binds.

Integers only. Every value stands in the settlement currency of its contract; currency 0 is the account currency, in
which equity and requirements stand.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.state import (
    INVERSE_FUTURE,
    INVERSE_PERPETUAL,
    LINEAR_OPTION,
    M_NOTICE,
    M_PUBLISHED,
    M_RISK_SLOTS,
    M_ROW_BACK,
    M_STEP,
    PRICED_ON_MARK,
    RATE_ONE,
    SPOT,
)
from sim.kernels.wide import mul_rate, mul_shift_floor


@kernel()
def newest_row(state):
    """Row of the risk ring that was published last (binds new orders)."""
    return state.meta[M_PUBLISHED] % state.meta[M_RISK_SLOTS]


@kernel()
def maintenance_row(state):
    """Row of the risk ring that binds maintenance: published ``notice`` steps before this step, or at set-up."""
    step = state.meta[M_STEP] - state.meta[M_ROW_BACK]
    return max(step - state.meta[M_NOTICE], 0) % state.meta[M_RISK_SLOTS]


@kernel()
def is_inverse(state, contract):
    """True for contracts whose value is lots x tick_value / price."""
    kind = state.contracts[contract].kind
    return kind == INVERSE_PERPETUAL or kind == INVERSE_FUTURE


@kernel()
def is_option(state, contract):
    """True for options, whose premium is paid in cash."""
    return state.contracts[contract].kind >= LINEAR_OPTION


@kernel()
def value_at(state, contract, lots, mark):
    """Value of signed lots at a price in sub-ticks, minor units of the settlement currency; the one rule of values.

    Linear: rounded down. Inverse: ``-round(lots x tick_value / price)``, halves up, negative for a long.
    """
    if is_inverse(state, contract):
        coins = lots * state.contracts[contract].tick_value * 16
        return -((2 * coins + mark) // (2 * mark))
    return (lots * mark * state.contracts[contract].tick_value) >> 4


@kernel()
def size_at(state, contract, lots, mark):
    """Absolute value of a number of lots >= 0 at a price in sub-ticks, minor units of the settlement currency."""
    return abs(value_at(state, contract, lots, mark))


@kernel()
def band_width(state, contract):
    """Half-width of the price band around the mark, sub-ticks."""
    terms = state.contracts[contract]
    return max(mul_shift_floor(state.quotes[contract].mark, terms.band, 32), terms.band_least)


@kernel()
def in_account_currency(state, currency, amount):
    """An amount >= 0 that is owed or required, in minor units of the account currency, rounded up."""
    return amount if currency == 0 else mul_rate(amount, state.conversion[currency])


@kernel()
def worth(state, currency, amount):
    """What an amount of another currency counts for in equity: less its haircut where it is positive, rounded down."""
    if amount > 0:
        amount = mul_shift_floor(amount, RATE_ONE - state.haircut[currency], 32)
    return mul_shift_floor(amount, state.conversion[currency], 32)


@kernel()
def margined_value(state, contract, lots):
    """Value at mark of lots >= 0, minor units of the settlement currency; zero for spot, which is covered by cash."""
    if state.contracts[contract].kind == SPOT:
        return np.int64(0)
    return size_at(state, contract, lots, state.quotes[contract].mark)


@kernel()
def notional_of(state, contract, lots):
    """Value at mark of a number of lots >= 0 in the account currency; zero for spot, which is covered by cash."""
    return in_account_currency(state, state.contracts[contract].currency, margined_value(state, contract, lots))


@kernel()
def underlying_price(state, contract):
    """Price of the underlying at which an option or a dated future is valued and settles, sub-ticks.

    That is the index of the contract that prices the underlying or, where options are priced on the market itself, its
    mark.
    """
    reference = state.contracts[contract].reference if is_option(state, contract) else contract
    if state.contracts[contract].priced_on == PRICED_ON_MARK:
        return state.quotes[reference].mark
    return state.quotes[reference].index
