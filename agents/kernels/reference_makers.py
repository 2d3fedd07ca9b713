"""Reference makers: a ladder of quotes around an outside price, cancelled and sent anew at each requote."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import DRAW_ROW, clipped, send, value_now
from sim.kernels.jit import kernel
from sim.kernels.keyed import uniform
from sim.kernels.messages import wake_range
from sim.kernels.realmath import exp, ln
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
    "from_index", "follow", "levels", "level_step", "first_lots", "more_lots", "half_spread", "spread_per_sigma",
    "inventory_lots", "lean",
)  # fmt: skip
FROM_INDEX, FOLLOW, LEVELS, LEVEL_STEP, FIRST_LOTS, MORE_LOTS, HALF_SPREAD, SPREAD_PER_SIGMA = range(8)
INVENTORY_LOTS, LEAN = range(8, 10)
FLOATS = ("premium", "reference")  # logarithms: what the market may stand above the reference; the reference last seen
PREMIUM, REFERENCE = range(2)


@kernel()
def _quote_side(state, population, account, side, nearest, room):
    """Send one side's levels outwards from a price in ticks (a float), at most ``room`` lots together."""
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    for level in range(np.int64(parameters[LEVELS])):
        away = nearest * (1.0 - side * level * parameters[LEVEL_STEP])
        price = np.int64(np.floor(away)) if side == BUY else -np.int64(np.floor(-away))
        lots = min(np.int64(parameters[FIRST_LOTS] + level * parameters[MORE_LOTS] + 0.5), room)
        if lots <= 0 or price < 1 or price > state.contracts[contract].max_price:
            return
        send(state, account, contract, NEW, side, POST_ONLY, 0, price, lots, 0, CAUSE_NONE)
        room -= lots


@kernel(DECIDE)
def decide(state, population):
    """Cancel and renew the quotes of waking rows. One draw per row: which side is sent first. Mutates its columns."""
    low, high = wake_range(state, population)
    if low == high:
        return
    step = state.meta[M_STEP]
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    if parameters[FROM_INDEX] != 0.0:
        reference = ln(state.quotes[contract].index / np.float64(SUBTICKS))
    else:
        reference = ln(value_now(state, contract))
    log_mid = ln(state.quotes[contract].mid / np.float64(SUBTICKS))
    half_spread = parameters[HALF_SPREAD] + parameters[SPREAD_PER_SIGMA] * np.sqrt(state.quotes[contract].variance_fast)
    limit = np.int64(parameters[INVENTORY_LOTS])
    absent = state.meta[M_MAKERS_WITHDRAWN_UNTIL] > step
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        before = state.trader_floats[account, REFERENCE]
        if before == 0.0:  # the first requote
            before = reference
        premium = state.trader_floats[account, PREMIUM]
        premium += parameters[FOLLOW] * (log_mid - before - premium)
        state.trader_floats[account, PREMIUM] = premium
        state.trader_floats[account, REFERENCE] = reference
        if state.accounts[account].orders > 0:
            send(state, account, contract, CANCEL_ALL, 0, GTC, 0, 0, 0, 0, CAUSE_NONE)
        if absent or state.accounts[account].status == CLOSED:
            continue
        inventory = state.positions[account, contract].lots
        centre = exp(reference + premium) * (1.0 - parameters[LEAN] * clipped(inventory / np.float64(limit), 1.0))
        first = np.int64(BUY)  # the side sent first stands longer and trades more: draw it
        row = account - state.pop_ints[population, PI_FIRST]
        if uniform(state.meta[M_SEED], state.pop_ints[population, PI_STREAM] + DRAW_ROW, step, row) < 0.5:
            first = np.int64(SELL)
        for side in (first, -first):
            nearest = centre * (1.0 - side * half_spread)
            _quote_side(state, population, account, side, nearest, limit - side * inventory)
