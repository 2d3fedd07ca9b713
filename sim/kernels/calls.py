"""Margin calls: grace, top-ups from cash outside the exchange, and calls that are met."""

from __future__ import annotations

import numpy as np

from sim.kernels.events import record_event
from sim.kernels.jit import kernel
from sim.kernels.ledger import deposit, equity
from sim.kernels.state import (
    CALL_OR_WAIT,
    CALLED,
    EV_CALL,
    EV_CALL_MET,
    INITIAL,
    ISOLATED,
    M_CALL_AMOUNT,
    M_CALLED_NOW,
    M_CALLS,
    M_CALLS_MET,
    M_CONTRACTS,
    M_GRACE,
    M_LAYOUT,
    M_READINGS,
    M_STEP,
    M_TOPUPS,
    MAINTENANCE,
    OPEN,
    WITH_EVALUATOR,
)

from sim.kernels.ledger import position_equity  # isort: skip


@kernel(CALL_OR_WAIT)
def shortfall(state, account, evaluate):
    """Minor units that bring the account back to its initial margin (cross), or its positions to maintenance x 2.

    An isolated position has no standing initial requirement, so twice its maintenance is asked for.
    """
    if state.meta[M_LAYOUT] != ISOLATED:
        return max(evaluate(state, account, -1, INITIAL) - equity(state, account), np.int64(0))
    missing = np.int64(0)
    for contract in range(state.meta[M_CONTRACTS]):
        if state.positions[account, contract].lots != 0:
            required = evaluate(state, account, contract, MAINTENANCE)
            own = position_equity(state, account, contract)
            if own < required:
                missing += 2 * required - own
    return missing


@kernel(CALL_OR_WAIT)
def fill_pockets(state, account, evaluate):
    """Move what is free in the wallet into pockets under maintenance, up to twice their maintenance (isolated only).

    Returns:
        Minor units moved.
    """
    if state.meta[M_LAYOUT] != ISOLATED:
        return np.int64(0)
    left = max(state.wallets[account, 0] - evaluate(state, account, -1, INITIAL), np.int64(0))
    moved = np.int64(0)
    for contract in range(state.meta[M_CONTRACTS]):
        if state.positions[account, contract].lots == 0:
            continue
        required = evaluate(state, account, contract, MAINTENANCE)
        own = position_equity(state, account, contract)
        if own < required:
            part = min(2 * required - own, left - moved)
            moved += part
            state.wallets[account, 0] -= part
            state.positions[account, contract].pocket += part
    if moved > 0:
        deposit(state, account, 0)  # refreshes the index
    return moved


@kernel(CALL_OR_WAIT)
def top_up(state, account, evaluate):
    """Meet a call as far as cash goes: first what is free in the wallet (isolated), then cash from outside.

    Returns:
        Minor units brought in from outside.
    """
    fill_pockets(state, account, evaluate)
    new = min(shortfall(state, account, evaluate), state.accounts[account].outside)
    if new > 0:
        state.accounts[account].outside -= new
        deposit(state, account, new)
        state.meta[M_TOPUPS] += new
        fill_pockets(state, account, evaluate)
    return max(new, np.int64(0))


@kernel()
def end_call(state, account):
    """Take the account out of the list of open calls."""
    count = state.meta[M_CALLED_NOW]
    for i in range(count):
        if state.called[i] == account:
            state.called[i] = state.called[count - 1]
            state.meta[M_CALLED_NOW] = count - 1
            break
    state.accounts[account].call_step = -1
    state.accounts[account].safe_reading = -1


@kernel(CALL_OR_WAIT)
def _still_short(state, account, evaluate):
    if state.meta[M_LAYOUT] != ISOLATED:
        return np.int64(equity(state, account) < evaluate(state, account, -1, MAINTENANCE))
    for contract in range(state.meta[M_CONTRACTS]):
        if state.positions[account, contract].lots != 0 and position_equity(state, account, contract) < evaluate(
            state, account, contract, MAINTENANCE
        ):
            return np.int64(1)
    return np.int64(0)


@kernel(WITH_EVALUATOR)
def drop_met_calls(state, evaluate):
    """Close calls whose account is above maintenance again (the price came back, or it reduced)."""
    i = np.int64(0)
    while i < state.meta[M_CALLED_NOW]:
        account = np.int64(state.called[i])
        if _still_short(state, account, evaluate) == 0:
            state.accounts[account].status = OPEN
            end_call(state, account)
            state.meta[M_CALLS_MET] += 1
            record_event(state, EV_CALL_MET, -1, account, 0, 0, equity(state, account), 0)
        else:
            i += 1


@kernel(CALL_OR_WAIT)
def call_or_wait(state, account, evaluate):
    """What happens to an account in breach before it is liquidated.

    Without grace nothing: liquidation is at once. With grace the account is called when the breach is first seen and
    has ``grace`` steps; at the end of the grace it brings in what cash it has outside, and is liquidated if that does
    not suffice. An account with negative equity has no grace. With isolated pockets, what is free in the wallet moves
    into a pocket under maintenance at once, and only who has not enough of it is called.

    Returns:
        1 to wait (or the call was met), 0 to liquidate now.
    """
    grace = state.meta[M_GRACE]
    if grace <= 0:
        return np.int64(0)
    step = state.meta[M_STEP]
    status = state.accounts[account].status
    if status != CALLED:
        if fill_pockets(state, account, evaluate) > 0 and _still_short(state, account, evaluate) == 0:
            return np.int64(1)
        missing = shortfall(state, account, evaluate)
        state.meta[M_CALLS] += 1
        state.meta[M_CALL_AMOUNT] += missing
        record_event(state, EV_CALL, -1, account, 0, missing, step + grace, 0)
        state.accounts[account].safe_reading = max(state.meta[M_READINGS] - 2, -1)  # the newest found a breach
        if equity(state, account) <= 0:
            return np.int64(0)
        state.accounts[account].status = CALLED
        state.accounts[account].call_step = step
        state.called[state.meta[M_CALLED_NOW]] = account
        state.meta[M_CALLED_NOW] += 1
        return np.int64(1)
    if step < state.accounts[account].call_step + grace and equity(state, account) > 0:
        return np.int64(1)
    paid = top_up(state, account, evaluate)
    if _still_short(state, account, evaluate) == 0:
        state.accounts[account].status = OPEN
        end_call(state, account)
        state.meta[M_CALLS_MET] += 1
        record_event(state, EV_CALL_MET, -1, account, 0, paid, equity(state, account), 0)
        return np.int64(1)
    safe = state.accounts[account].safe_reading
    end_call(state, account)
    state.accounts[account].safe_reading = safe  # the record of its causes goes back to there
    return np.int64(0)
