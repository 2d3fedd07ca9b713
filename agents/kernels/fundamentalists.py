"""Fundamentalists: a target position that falls with the price's excess over a private opinion of value."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import clipped, take_market, value_now
from sim.kernels.jit import kernel
from sim.kernels.messages import wake_range
from sim.kernels.realmath import ln
from sim.kernels.state import DECIDE, PI_CONTRACT, SUBTICKS

PARAMS = ("target_lots", "scale", "child_lots")
TARGET_LOTS, SCALE, CHILD_LOTS = range(3)
FLOATS = ("opinion",)
OPINION = 0


@kernel(DECIDE)
def decide(state, population):
    """Send child orders of the waking rows towards their targets. No draws."""
    low, high = wake_range(state, population)
    if low == high:
        return
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    child = np.int64(parameters[CHILD_LOTS])
    undervaluation = ln(value_now(state, contract)) - ln(state.quotes[contract].mid / np.float64(SUBTICKS))
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        conviction = clipped((undervaluation + state.trader_floats[account, OPINION]) / parameters[SCALE], 1.0)
        target = np.int64(np.floor(parameters[TARGET_LOTS] * conviction + 0.5))
        lots = clipped(target - state.positions[account, contract].lots, child)
        if lots != 0:
            take_market(state, account, contract, lots)
