"""From a calculated rate to the rate that is published: the anti-procyclicality tools."""

from __future__ import annotations

import numpy as np

from margin.kernels.columns import (
    P_BUFFER,
    P_BUFFER_GONE,
    P_BUFFER_WHOLE,
    P_CAP,
    P_FLOOR,
    P_GROWTH,
    P_REBUILD,
    P_STRESS,
    P_STRESS_WEIGHT,
    S_OVERLAID,
    S_REFERENCE,
    S_STARTED,
)
from sim.kernels.jit import kernel
from sim.kernels.state import RATE_ONE


@kernel()
def to_units(rate):
    """A rate as a whole number of units of 2**-32, to nearest, at most 100 %; still float64."""
    return min(np.floor(rate * RATE_ONE + 0.5), np.float64(RATE_ONE))


@kernel()
def _between_levels(rate, whole, gone, buffer):
    """The buffer is whole up to one level of the rate and gone from another."""
    gap = gone - whole
    if gap > 0.0:
        part = min(max((gone - rate) / gap, 0.0), 1.0)
    else:
        part = 1.0 if rate < gone else 0.0
    return rate * (1.0 + buffer * part)


@kernel()
def overlaid(params, memory, calculated):
    """The calculated rate after stress weight, buffer, floor, speed limit and cap, in that order.

    The formulas stand in :mod:`margin.procyclicality`, which this equals to the unit.

    Args:
        params: float64[K], the contract's row of ``model_params``.
        memory: float64[K], its row of ``model_state``; the buffer's reference and the last overlaid rate are mutated.
        calculated: rate before overlays, a fraction.

    Returns:
        The rate in units of 2**-32, a whole float64.
    """
    weight = params[P_STRESS_WEIGHT]
    rate = (1.0 - weight) * calculated + weight * params[P_STRESS]
    if memory[S_STARTED] == 0.0:
        memory[S_REFERENCE] = rate
    reference = memory[S_REFERENCE]
    if params[P_BUFFER_GONE] > 0.0:
        buffered = _between_levels(rate, params[P_BUFFER_WHOLE], params[P_BUFFER_GONE], params[P_BUFFER])
    else:
        buffered = max(rate, (1.0 + params[P_BUFFER]) * min(rate, reference))
    memory[S_REFERENCE] = reference + params[P_REBUILD] * (rate - reference)
    units = max(to_units(buffered), params[P_FLOOR])
    if params[P_GROWTH] > 0.0 and memory[S_STARTED] != 0.0:
        units = min(units, np.floor(memory[S_OVERLAID] * params[P_GROWTH]))
    units = min(units, params[P_CAP])
    memory[S_OVERLAID] = units
    return units
