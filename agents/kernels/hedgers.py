"""Hedgers: an exposure outside the exchange that wanders, and a position that covers it."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import DRAW_ROW, take_market
from sim.kernels.jit import kernel
from sim.kernels.keyed import uniform
from sim.kernels.messages import wake_range
from sim.kernels.realmath import normal_quantile
from sim.kernels.state import DECIDE, M_SEED, M_STEP, PI_CONTRACT, PI_FIRST, PI_STREAM

PARAMS = ("exposure_lots", "mean_lots", "persistence", "innovation", "tolerance", "child_lots")
EXPOSURE_LOTS, MEAN_LOTS, PERSISTENCE, INNOVATION, TOLERANCE, CHILD_LOTS = range(6)
FLOATS = ("exposure",)
EXPOSURE = 0


@kernel(DECIDE)
def decide(state, population):
    """Move each waking row's exposure and hedge it if the gap is wide. Draws: one per row and wake.

    Mutates ``trader_floats`` of waking rows.
    """
    low, high = wake_range(state, population)
    if low == high:
        return
    step, seed = state.meta[M_STEP], state.meta[M_SEED]
    first = state.pop_ints[population, PI_FIRST]
    contract = state.pop_ints[population, PI_CONTRACT]
    stream = state.pop_ints[population, PI_STREAM]
    parameters = state.pop_params[population]
    child = np.int64(parameters[CHILD_LOTS])
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        shock = normal_quantile(uniform(seed, stream + DRAW_ROW, step, account - first))
        exposure = parameters[PERSISTENCE] * state.trader_floats[account, EXPOSURE] + parameters[INNOVATION] * shock
        state.trader_floats[account, EXPOSURE] = exposure
        outside = parameters[MEAN_LOTS] + parameters[EXPOSURE_LOTS] * exposure
        target = np.int64(np.floor(0.5 - outside))
        gap = target - state.positions[account, contract].lots
        if abs(gap) > parameters[TOLERANCE] * parameters[EXPOSURE_LOTS]:
            take_market(state, account, contract, min(max(gap, -child), child))
