"""Kernels that serve a margin rule written in NumPy: its requirements come in as an array, admission goes in waves.

Since admission depends on the account alone, asking for the k-th message of every account together gives the same
answers as going message by message.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.admission import limit_reached, prepare, refuse, reserve_message
from sim.kernels.held import next_held
from sim.kernels.jit import kernel
from sim.kernels.ledger import equity
from sim.kernels.state import (
    CANCEL,
    CANCEL_ALL,
    CROSS,
    M_CONTRACTS,
    M_LAYOUT,
    M_MESSAGES,
    M_TRADERS,
    OK,
    R_MARGIN,
    REDUCE_ONLY,
    REQUIREMENT,
)


@kernel(REQUIREMENT)
def stored_requirement(state, account, contract, which):
    """Requirement that the NumPy rule gave last; column C of ``py_requirement`` holds the account's total."""
    column = state.meta[M_CONTRACTS] if contract < 0 else contract
    return state.py_requirement[account, column, which]


_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


@kernel()
def _mixed(digest, value):
    """Mix 64 bits into a digest: a multiplication and a shift, so that every bit of what came before moves."""
    digest = (digest ^ np.uint64(value)) * _MIX
    return digest ^ (digest >> _SHIFT)


@kernel()
def digests(state, out):
    """A digest of all that a requirement may read of each account: positions, open orders, pockets, cash.

    Args:
        state: the market.
        out: uint64[A], overwritten.
    """
    for account in range(state.positions.shape[0]):
        digest = np.uint64(0)
        for currency in range(state.wallets.shape[1]):
            digest = _mixed(digest, state.wallets[account, currency])
        contract = next_held(state, account, 0)
        while contract >= 0:
            position = state.positions[account, contract]
            if position.lots != 0 or position.open_buy != 0 or position.open_sell != 0 or position.pocket != 0:
                digest = _mixed(digest, contract)
                digest = _mixed(_mixed(digest, position.lots), position.cost)
                digest = _mixed(_mixed(digest, position.open_buy), position.loss_buy)
                digest = _mixed(_mixed(digest, position.open_sell), position.loss_sell)
                digest = _mixed(digest, position.pocket)
            contract = next_held(state, account, contract + 1)
        out[account] = digest


@kernel()
def begin_wave(state, wave):
    """Check and reserve the ``wave``-th message of every account.

    Returns:
        Messages of this wave (0 ends admission). Mutates messages (``pad``: reason of refusal) and reserves.
    """
    found = np.int64(0)
    for i in range(state.meta[M_MESSAGES]):
        if state.messages[i].seq != wave:
            continue
        found += 1
        state.messages[i].accepted = 0
        reason = prepare(state, i)
        state.messages[i].pad = reason
        if reason != OK:
            continue
        if state.messages[i].kind == CANCEL or state.messages[i].kind == CANCEL_ALL:
            state.messages[i].accepted = 1
            continue
        reserve_message(state, i, 1)
        account, contract = np.int64(state.messages[i].account), np.int64(state.messages[i].contract)
        reason = limit_reached(state, account, contract, np.int64(state.messages[i].side))
        if reason != OK:
            reserve_message(state, i, -1)
            state.messages[i].pad = reason
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
                state.messages[i].accepted = 0
                state.messages[i].pad = R_MARGIN
                continue
        before[account] = after[account]


@kernel()
def report_refusals(state):
    """Put the refusals of all waves on the tape in arrival order, as message-by-message admission does."""
    for k in range(state.meta[M_MESSAGES]):
        i = state.arrival[k]
        if state.messages[i].pad != OK:
            refuse(state, i, state.messages[i].pad)
