"""The insurance fund's drawdown: the highest equity within a moving window, exactly, one reading a step."""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, equity
from sim.kernels.state import (
    M_STEP,
    M_TRADERS,
    TRIGGER_FUND_DRAWDOWN,
    W_DRAWDOWN,
    W_DRAWDOWN_STEPS,
    W_FUND_PEAK,
    W_FUND_PEAK_STEP,
    W_PEAKS,
    W_PEAKS_FIRST,
    W_TRIGGER,
)
from sim.kernels.wide import mul_rate


@kernel()
def _grow(state):
    old = state.fund_peaks
    size, first = old.shape[0], state.waterfall[W_PEAKS_FIRST]
    larger = np.zeros((2 * size, 2), np.int64)
    for i in range(size):
        larger[i, 0] = old[(first + i) % size, 0]
        larger[i, 1] = old[(first + i) % size, 1]
    state.fund_peaks = larger
    state.waterfall[W_PEAKS_FIRST] = 0


@kernel()
def watch_fund(state):
    """Read the fund's equity of this step into the window. Mutates ``fund_peaks`` and its cells.

    The window is a queue of readings that no later one has exceeded, so its first is the peak. Nothing happens where
    no trigger asks for it.
    """
    cells = state.waterfall
    if cells[W_TRIGGER] != TRIGGER_FUND_DRAWDOWN:
        return
    step, own = state.meta[M_STEP], equity(state, state.meta[M_TRADERS] + OFFSET_FUND)
    while cells[W_PEAKS] > 0 and state.fund_peaks[cells[W_PEAKS_FIRST], 0] <= step - cells[W_DRAWDOWN_STEPS]:
        cells[W_PEAKS_FIRST] = (cells[W_PEAKS_FIRST] + 1) % state.fund_peaks.shape[0]
        cells[W_PEAKS] -= 1
    while cells[W_PEAKS] > 0:
        last = (cells[W_PEAKS_FIRST] + cells[W_PEAKS] - 1) % state.fund_peaks.shape[0]
        if state.fund_peaks[last, 1] > own:
            break
        cells[W_PEAKS] -= 1
    if cells[W_PEAKS] == state.fund_peaks.shape[0]:
        _grow(state)
    place = (cells[W_PEAKS_FIRST] + cells[W_PEAKS]) % state.fund_peaks.shape[0]
    state.fund_peaks[place, 0] = step
    state.fund_peaks[place, 1] = own
    cells[W_PEAKS] += 1
    cells[W_FUND_PEAK_STEP] = state.fund_peaks[cells[W_PEAKS_FIRST], 0]
    cells[W_FUND_PEAK] = state.fund_peaks[cells[W_PEAKS_FIRST], 1]


@kernel()
def fund_lost(state):
    """True when the fund now has less than its peak in the window by the stated part of that peak."""
    peak = state.waterfall[W_FUND_PEAK]
    if peak <= 0:
        return False
    own = equity(state, state.meta[M_TRADERS] + OFFSET_FUND)
    return peak - own >= mul_rate(peak, state.waterfall[W_DRAWDOWN])
