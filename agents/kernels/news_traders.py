"""News traders: they take the quotes that a move of the value has left behind."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import clipped, log_mid_before, take_limit, value_now
from sim.kernels.jit import kernel
from sim.kernels.messages import wake_range
from sim.kernels.realmath import exp, ln
from sim.kernels.state import DECIDE, M_STEP, NO_PRICE, PI_CONTRACT

PARAMS = ("horizon", "child_lots", "inventory_lots", "unwind_lots")
HORIZON, CHILD_LOTS, INVENTORY_LOTS, UNWIND_LOTS = range(4)
FLOATS = ("threshold",)
THRESHOLD = 0


@kernel(DECIDE)
def decide(state, population):
    """Take what lies beyond the price that the news has made, give inventory back at that price. No draws."""
    low, high = wake_range(state, population)
    step = state.meta[M_STEP]
    parameters = state.pop_params[population]
    horizon = np.int64(parameters[HORIZON])
    if low == high or step < horizon:
        return
    contract = state.pop_ints[population, PI_CONTRACT]
    then = state.value[min(step - horizon, state.value.shape[0] - 1), contract]
    news = ln(value_now(state, contract)) - ln(then)
    fair = exp(log_mid_before(state, contract, horizon - 1) + news)
    bid, ask = state.quotes[contract].bid, state.quotes[contract].ask
    child, unwind = np.int64(parameters[CHILD_LOTS]), np.int64(parameters[UNWIND_LOTS])
    limit = np.int64(parameters[INVENTORY_LOTS])
    fair_floor, fair_ceiling = np.int64(np.floor(fair)), -np.int64(np.floor(-fair))
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        threshold = state.trader_floats[account, THRESHOLD]
        inventory = state.positions[account, contract].lots
        cheap = np.int64(np.floor(fair * (1.0 - threshold)))
        dear = -np.int64(np.floor(-fair * (1.0 + threshold)))
        lots, price = np.int64(0), np.int64(0)
        if news > 0.0 and ask != NO_PRICE and ask <= cheap:
            lots, price = min(child, limit - inventory), cheap
        elif news < 0.0 and bid != NO_PRICE and bid >= dear:
            lots, price = -min(child, limit + inventory), dear
        elif inventory > 0 and bid != NO_PRICE and bid >= fair_ceiling:
            lots, price = -clipped(inventory, unwind), fair_ceiling
        elif inventory < 0 and ask != NO_PRICE and ask <= fair_floor:
            lots, price = -clipped(inventory, unwind), fair_floor
        if lots != 0 and 1 <= price <= state.contracts[contract].max_price:
            take_limit(state, account, contract, lots, price, 0, 0)
