"""The compiled publisher of initial rates that rise with open interest (:mod:`margin.open_interest`)."""

from __future__ import annotations

import numpy as np

from margin.kernels.columns import (
    P_INITIAL,
    P_MAINTENANCE,
    P_OPEN_LOWER,
    P_OPEN_UPPER,
    S_INITIAL,
    S_MAINTENANCE,
    S_STARTED,
    S_STEP,
)
from margin.kernels.publish import scaled_rate
from sim.kernels.jit import kernel
from sim.kernels.state import INVERSE_FUTURE, INVERSE_PERPETUAL, M_CONTRACTS, M_STEP, PUBLISH, RATE_ONE


@kernel(PUBLISH)
def publish(state, slot):
    """Publish the rates of one model for the step being computed; mutates its ``model_state`` and ``model_rates``."""
    scale = state.model_scale[slot]
    for contract in range(state.meta[M_CONTRACTS]):
        params = state.model_params[slot, contract]
        memory = state.model_state[slot, contract]
        index = np.float64(state.quotes[contract].index)
        lots = np.float64(state.quotes[contract].open_interest)
        tick_value = np.float64(state.contracts[contract].tick_value)
        kind = state.contracts[contract].kind
        if kind == INVERSE_PERPETUAL or kind == INVERSE_FUTURE:
            worth = lots * tick_value * 16.0 / index
        else:
            worth = lots * index * tick_value / 16.0
        base, low, high = params[P_INITIAL], params[P_OPEN_LOWER], params[P_OPEN_UPPER]
        share = max((worth - low) / (high - low), 0.0)
        memory[S_INITIAL] = min(np.floor(base + share * (RATE_ONE - base) + 0.5), np.float64(RATE_ONE))
        memory[S_MAINTENANCE] = params[P_MAINTENANCE]
        memory[S_STARTED] = 1.0
        memory[S_STEP] = state.meta[M_STEP]
        state.model_rates[slot, contract, 0] = scaled_rate(memory[S_INITIAL], scale)
        state.model_rates[slot, contract, 1] = scaled_rate(memory[S_MAINTENANCE], scale)
