"""Value arbitrageurs: they take every order that lies beyond value by more than their threshold."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import clipped, take_limit, value_now
from sim.kernels.jit import kernel
from sim.kernels.messages import wake_range
from sim.kernels.state import DECIDE, NO_PRICE, PI_CONTRACT

PARAMS = ("child_lots", "inventory_lots", "unwind_lots")
CHILD_LOTS, INVENTORY_LOTS, UNWIND_LOTS = range(3)
FLOATS = ("threshold",)
THRESHOLD = 0


@kernel(DECIDE)
def decide(state, population):
    """Buy below value, sell above it, give inventory back at value or better. No draws."""
    low, high = wake_range(state, population)
    if low == high:
        return
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    value = value_now(state, contract)
    bid, ask = state.quotes[contract].bid, state.quotes[contract].ask
    child, unwind = np.int64(parameters[CHILD_LOTS]), np.int64(parameters[UNWIND_LOTS])
    limit = np.int64(parameters[INVENTORY_LOTS])
    # whole ticks at or beyond value, towards the trader
    value_floor, value_ceiling = np.int64(np.floor(value)), -np.int64(np.floor(-value))
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        threshold = state.trader_floats[account, THRESHOLD]
        inventory = state.positions[account, contract].lots
        cheap = np.int64(np.floor(value * (1.0 - threshold)))
        dear = -np.int64(np.floor(-value * (1.0 + threshold)))
        lots, price = np.int64(0), np.int64(0)
        if ask != NO_PRICE and ask <= cheap:
            lots, price = min(child, limit - inventory), cheap
        elif bid != NO_PRICE and bid >= dear:
            lots, price = -min(child, limit + inventory), dear
        elif inventory > 0 and bid != NO_PRICE and bid >= value_ceiling:
            lots, price = -clipped(inventory, unwind), value_ceiling
        elif inventory < 0 and ask != NO_PRICE and ask <= value_floor:
            lots, price = -clipped(inventory, unwind), value_floor
        if lots != 0 and 1 <= price <= state.contracts[contract].max_price:
            take_limit(state, account, contract, lots, price, 0, 0)
