"""Kernels that serve a margin rule written in NumPy: its requirements come in as an array, admission goes in waves.

Since admission depends on the account alone, asking for the k-th message of every account together gives the same
answers as going message by message.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.admission import prepare, refuse, reserve_message, within_limit
from sim.kernels.calls import drop_met_calls
from sim.kernels.clearing import in_breach
from sim.kernels.jit import kernel
from sim.kernels.ledger import equity
from sim.kernels.state import (
    CANCEL,
    CANCEL_ALL,
    CROSS,
    LIQUIDATING,
    M_CALLED_NOW,
    M_CONTRACTS,
    M_LAYOUT,
    M_MESSAGES,
    M_TRADERS,
    OK,
    OPEN,
    R_MARGIN,
    R_POSITION_LIMIT,
    REDUCE_ONLY,
    REQUIREMENT,
    WITH_EVALUATOR,
)


@kernel(REQUIREMENT)
def stored_requirement(state, account, contract, which):
    """Requirement that the NumPy rule gave last; column C of ``py_requirement`` holds the account's total."""
    column = state.meta[M_CONTRACTS] if contract < 0 else contract
    return state.py_requirement[account, column, which]


@kernel()
def begin_wave(state, wave):
    """Check and reserve the ``wave``-th message of every account.

    Returns:
        Messages of this wave (0 ends admission). Mutates messages and reserves.
    """
    found = np.int64(0)
    for i in range(state.meta[M_MESSAGES]):
        if state.messages[i].seq != wave:
            continue
        found += 1
        state.messages[i].accepted = 0
        reason = prepare(state, i)
        if reason != OK:
            refuse(state, i, reason)
            continue
        if state.messages[i].kind == CANCEL or state.messages[i].kind == CANCEL_ALL:
            state.messages[i].accepted = 1
            continue
        reserve_message(state, i, 1)
        if not within_limit(state, np.int64(state.messages[i].account), np.int64(state.messages[i].contract)):
            reserve_message(state, i, -1)
            refuse(state, i, R_POSITION_LIMIT)
            continue
        state.messages[i].accepted = 2  # reserved, margin not decided
    return found


@kernel()
def end_wave(state, wave, before, after):
    """Accept or refuse what the wave reserved.

    Args:
        state: the market; mutates messages and reserves.
        wave: number of the wave.
        before: int64[A], initial requirement before the wave; updated to what stands after it.
        after: int64[A], initial requirement with every message of the wave reserved.
    """
    cross = state.meta[M_LAYOUT] == CROSS
    for i in range(state.meta[M_MESSAGES]):
        if state.messages[i].seq != wave or state.messages[i].accepted != 2:
            continue
        account = np.int64(state.messages[i].account)
        state.messages[i].accepted = 1
        if account < state.meta[M_TRADERS] and state.messages[i].flags & REDUCE_ONLY == 0:
            own = equity(state, account) if cross else state.wallets[account, 0]
            if own - after[account] < 0 and after[account] > before[account]:
                reserve_message(state, i, -1)
                refuse(state, i, R_MARGIN)
                continue
        before[account] = after[account]


@kernel(WITH_EVALUATOR)
def begin_clearing(state, evaluate):
    """Close the calls that are met before the rounds begin."""
    if state.meta[M_CALLED_NOW] > 0:
        drop_met_calls(state, evaluate)


@kernel(WITH_EVALUATOR)
def end_clearing(state, evaluate):
    """Reopen accounts whose liquidation brought them back above maintenance."""
    for account in range(state.meta[M_TRADERS]):
        if state.accounts[account].status != LIQUIDATING:
            continue
        short = False
        if state.meta[M_LAYOUT] == CROSS:
            short = in_breach(state, account, -1, evaluate)
        else:
            for contract in range(state.meta[M_CONTRACTS]):
                short = short or in_breach(state, account, contract, evaluate)
        if not short:
            state.accounts[account].status = OPEN
