"""How much of a failing account is closed in one action."""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.pace import is_first_action
from sim.kernels.penalty import own_equity
from sim.kernels.state import (
    LP_CLOSE_FRACTION,
    LP_CLOSE_HEALTH,
    LP_SIZE,
    LP_STEP_ABOVE,
    LP_STEP_FRACTION,
    LP_TARGET_RATIO,
    M_CONTRACTS,
    RATE_ONE,
    SIZE_CLOSE_FACTOR,
    SIZE_STEP,
    SIZE_TARGET,
)
from sim.kernels.values import notional_of
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor


@kernel()
def stated(fraction):
    """A stated fraction of lots, 2**-32: one unit less, so that its own rounding adds no lot (30 % of ten is three)."""
    return fraction if fraction >= RATE_ONE else max(fraction - 1, np.int64(1))


@kernel()
def is_below(own, required, ratio):
    """True when equity is below ``ratio`` (2**-32) times the maintenance requirement; at two thirds it is not below."""
    return own < mul_rate(required, stated(ratio))


@kernel()
def is_above(own, required, ratio):
    """True when equity is above ``ratio`` (2**-32) times the maintenance requirement; at .95 it is not above."""
    return own > mul_shift_floor(required, ratio + 1, 32)


@kernel()
def _target_fraction(state, account, contract, required, own):
    """What restores the target ratio of equity to maintenance.

    A partial liquidation of a fraction x at mark leaves equity - fee x V against maintenance (1 - x) M; the target
    ratio t of equity to maintenance asks for x = (t M - E) / (t M - fee V).
    """
    target = mul_rate(required, state.policy[LP_TARGET_RATIO])
    fee = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots != 0 and (contract < 0 or k == contract):
            fee += mul_rate(notional_of(state, k, abs(lots)), state.contracts[k].fee_liquidation)
    if target <= fee or own <= fee:
        return np.int64(RATE_ONE)
    return min(max(mul_div_floor(target - own, RATE_ONE, target - fee), np.int64(1)), np.int64(RATE_ONE))


@kernel()
def fraction_to_close(state, account, contract, required):
    """Fraction of the positions that the policy closes now, in 2**-32.

    ``target``: see :func:`_target_fraction`. ``close_factor``: ``close_fraction`` while health, equity over
    maintenance, is above ``close_health``, else all. ``full`` and ``step``: all (see :func:`lots_to_close`).

    Args:
        state: the market.
        account: the account.
        contract: -1, or the isolated contract.
        required: its maintenance requirement, minor units.
    """
    size = state.policy[LP_SIZE]
    if size != SIZE_TARGET and size != SIZE_CLOSE_FACTOR:
        return np.int64(RATE_ONE)
    own = own_equity(state, account, contract)
    if size == SIZE_TARGET:
        return _target_fraction(state, account, contract, required, own)
    if is_above(own, required, state.policy[LP_CLOSE_HEALTH]):
        return stated(state.policy[LP_CLOSE_FRACTION])
    return np.int64(RATE_ONE)


@kernel()
def lots_to_close(state, account, contract, k, fraction):
    """Lots of contract k that are closed now: the fraction of what is held, rounded up.

    Under ``step`` the first action on a position worth more than ``step_above`` closes ``step_fraction`` of it.
    """
    held = abs(state.positions[account, k].lots)
    if (
        state.policy[LP_SIZE] == SIZE_STEP
        and fraction == RATE_ONE
        and is_first_action(state, account, contract)
        and notional_of(state, k, held) > state.policy[LP_STEP_ABOVE]
    ):
        fraction = stated(state.policy[LP_STEP_FRACTION])
    return min(mul_rate(held, fraction), held)
