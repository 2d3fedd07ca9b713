"""Which contracts an account has anything in: a bit for each, so that sums over an account skip the others.

A bit is set before lots, open orders or a pocket can differ from zero, and taken back when the index is brought up to
date (:func:`sim.kernels.index.touch`) and finds the row empty: bits may stand for empty rows, never the other way. In a
market of up to :data:`FEW` contracts all bits stand always: looking at so few rows is cheaper than keeping account.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.ladder import lowest_bit
from sim.kernels.state import FEW


@kernel()
def hold(state, account, contract):
    """Note that an account has something in a contract. Mutates ``held``."""
    state.held[account, contract >> 6] |= np.uint64(1) << np.uint64(contract & 63)


@kernel()
def drop(state, account, contract):
    """Take the bit of a contract back where the row of the account is empty. Mutates ``held``."""
    if state.positions.shape[1] <= FEW:
        return
    position = state.positions[account, contract]
    if position.lots == 0 and position.open_buy == 0 and position.open_sell == 0 and position.pocket == 0:
        state.held[account, contract >> 6] &= ~(np.uint64(1) << np.uint64(contract & 63))


@kernel()
def next_held(state, account, contract):
    """First contract from ``contract`` on in which an account may have something; -1: none."""
    words = state.held.shape[1]
    word = np.int64(contract >> 6)
    if word >= words:
        return np.int64(-1)
    gone = np.uint64(contract & 63)
    bits = (state.held[account, word] >> gone) << gone
    while bits == np.uint64(0):
        word += 1
        if word == words:
            return np.int64(-1)
        bits = state.held[account, word]
    return (word << 6) + np.int64(lowest_bit(bits))


@kernel()
def hold_all(state):
    """Note everything that accounts have, after rows were written from outside. Mutates ``held``."""
    for account in range(state.positions.shape[0]):
        for contract in range(state.positions.shape[1]):
            position = state.positions[account, contract]
            if position.lots != 0 or position.open_buy != 0 or position.open_sell != 0 or position.pocket != 0:
                hold(state, account, contract)
