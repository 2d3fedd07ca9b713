"""How fast a liquidation goes: cooldowns between two actions on one account, caps on lots per contract and window.

Time is counted in slots: ``LP_ACTIONS`` of them make a step, one where the cooldown lasts a step or longer. So a venue
that acts once a second acts sixty times in a step of a minute, in as many rounds.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.state import (
    LP_ACTIONS,
    LP_COOLDOWN,
    LP_FLOW,
    LP_FLOW_WINDOW,
    M_CONTRACTS,
    M_STEP,
)

_LAST, _SUM, _RING = 0, 1, 2  # columns of ``state.flow``


@kernel()
def next_slot(state, account, contract):
    """First slot at which a liquidation may act: now, or when its cooldown ends."""
    wait = np.int64(
        state.accounts[account].wait_until if contract < 0 else state.positions[account, contract].wait_until
    )
    return max(wait, state.meta[M_STEP] * max(state.policy[LP_ACTIONS], np.int64(1)))


@kernel()
def is_ready(state, account, contract):
    """True when the cooldown of an account (contract -1) or isolated position leaves this step an action."""
    slots = max(state.policy[LP_ACTIONS], np.int64(1))
    return next_slot(state, account, contract) < (state.meta[M_STEP] + 1) * slots


@kernel()
def is_first_action(state, account, contract):
    """True while nothing of an account (contract -1) or isolated position has been closed in this liquidation."""
    if contract < 0:
        return state.accounts[account].rounds == 0
    return state.positions[account, contract].wait_until == 0


@kernel()
def note_action(state, account, contract):
    """Count an action that closed something, and start the cooldown. Mutates the account or the isolated position."""
    until = next_slot(state, account, contract) + state.policy[LP_COOLDOWN]
    state.accounts[account].rounds += 1
    if contract < 0:
        state.accounts[account].wait_until = until
    else:
        state.positions[account, contract].wait_until = until


@kernel()
def _roll(state, k):
    """Take steps older than the window out of the sum of ``flow``; returns the ring's cell of this step."""
    window, step = max(state.policy[LP_FLOW_WINDOW], np.int64(1)), state.meta[M_STEP]
    for past in range(max(state.flow[k, _LAST] + 1, step - window + 1), step + 1):
        state.flow[k, _SUM] -= state.flow[k, _RING + past % window]
        state.flow[k, _RING + past % window] = 0
    state.flow[k, _LAST] = step
    return _RING + step % window


@kernel()
def flow_room(state, k):
    """Lots of a contract that the flow cap lets through now: the cap less what the window saw. Mutates ``flow``."""
    if state.policy[LP_FLOW] == 0:
        return state.contracts[k].max_lots
    _roll(state, k)
    return max(state.policy[LP_FLOW] - state.flow[k, _SUM], np.int64(0))


@kernel()
def note_flow(state, k, lots):
    """Count liquidated lots against the flow cap. Mutates ``flow``."""
    if state.policy[LP_FLOW] != 0:
        cell = _roll(state, k)
        state.flow[k, _SUM] += lots
        state.flow[k, cell] += lots


@kernel()
def is_capped(state, account, contract):
    """True when the flow cap leaves nothing of some contract that is to be closed."""
    if state.policy[LP_FLOW] == 0:
        return False
    for k in range(state.meta[M_CONTRACTS]):
        if state.positions[account, k].lots != 0 and (contract < 0 or k == contract) and flow_room(state, k) == 0:
            return True
    return False
