"""Market makers: a few levels on each side of the mid, cancelled and sent anew at each requote."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import DRAW_ROW, send
from sim.kernels.jit import kernel
from sim.kernels.keyed import uniform
from sim.kernels.messages import wake_range
from sim.kernels.state import (
    BUY,
    CANCEL_ALL,
    CAUSE_NONE,
    CLOSED,
    DECIDE,
    GTC,
    M_MAKERS_WITHDRAWN_UNTIL,
    M_SEED,
    M_STEP,
    NEW,
    PI_CONTRACT,
    PI_FIRST,
    PI_STREAM,
    POST_ONLY,
    SELL,
    SUBTICKS,
)

PARAMS = (
    "levels", "level_ticks", "first_lots", "more_lots", "half_spread_ticks", "spread_per_sigma", "inventory_lots",
    "skew", "calm_ratio", "quit_ratio",
)  # fmt: skip
LEVELS, LEVEL_TICKS, FIRST_LOTS, MORE_LOTS, HALF_SPREAD_TICKS, SPREAD_PER_SIGMA, INVENTORY_LOTS = range(7)
SKEW, CALM_RATIO, QUIT_RATIO = range(7, 10)


@kernel()
def _quote_side(state, population, account, side, nearest, factor, room):
    """Send one side's levels outwards from a price in ticks, at most ``room`` lots together."""
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    spacing = np.int64(parameters[LEVEL_TICKS])
    for level in range(np.int64(parameters[LEVELS])):
        price = nearest - side * level * spacing
        size = np.int64((parameters[FIRST_LOTS] + level * parameters[MORE_LOTS]) * factor + 0.5)
        lots = min(max(size, np.int64(1)), room)
        if lots <= 0 or price < 1 or price > state.contracts[contract].max_price:
            return
        send(state, account, contract, NEW, side, POST_ONLY, 0, price, lots, 0, CAUSE_NONE)
        room -= lots


@kernel(DECIDE)
def decide(state, population):
    """Cancel and renew the quotes of waking rows. One draw per row: which side is sent first."""
    low, high = wake_range(state, population)
    if low == high:
        return
    step = state.meta[M_STEP]
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    fast, slow = state.quotes[contract].variance_fast, state.quotes[contract].variance_slow
    mid = state.quotes[contract].mid / np.float64(SUBTICKS)
    quit_ratio, calm_ratio = parameters[QUIT_RATIO], parameters[CALM_RATIO]
    absent = state.meta[M_MAKERS_WITHDRAWN_UNTIL] > step or fast > quit_ratio * quit_ratio * slow
    factor = min(calm_ratio * calm_ratio * slow / fast, 1.0) if fast > 0.0 else 1.0
    half_spread = parameters[HALF_SPREAD_TICKS] + parameters[SPREAD_PER_SIGMA] * np.sqrt(fast) * mid
    limit = np.int64(parameters[INVENTORY_LOTS])
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        if state.accounts[account].orders > 0:
            send(state, account, contract, CANCEL_ALL, 0, GTC, 0, 0, 0, 0, CAUSE_NONE)
        if absent or state.accounts[account].status == CLOSED:
            continue
        inventory = state.positions[account, contract].lots
        centre = mid - parameters[SKEW] * half_spread * inventory / limit
        bid = np.int64(np.floor(centre - half_spread))
        ask = -np.int64(np.floor(-centre - half_spread))
        # a maker's messages arrive in its own order, so the side sent first stands longer and trades more: draw it
        first = np.int64(BUY)
        row = account - state.pop_ints[population, PI_FIRST]
        if uniform(state.meta[M_SEED], state.pop_ints[population, PI_STREAM] + DRAW_ROW, step, row) < 0.5:
            first = np.int64(SELL)
        for side in (first, -first):
            nearest = bid if side == BUY else ask
            _quote_side(state, population, account, side, nearest, factor, limit - side * inventory)
