"""Windows of past returns, kept sorted, and their tails: historical and filtered-historical rates.

A window of W values is a row of floats: the values by age (a ring of W), the same values in ascending order (W), and,
where returns overlap over h samples, rings of the last h returns and of the volatilities before them (2 h). A sample
replaces the oldest value; nothing is allocated and nothing is sorted anew.
"""

from __future__ import annotations

import numpy as np

from margin.kernels.columns import (
    FILTER_DAYS,
    FILTER_NONE,
    FILTER_START,
    MEASURE_ES,
    P_FILTER,
    P_MEASURE,
    P_OVERLAP,
    P_TAIL_COUNT,
    P_TAIL_PART,
    P_TAILS,
    P_WINDOW,
    S_PLACE,
    S_SAMPLES,
    S_VARIANCE,
    TAIL_LOWER,
    TAIL_UPPER,
)
from sim.kernels.jit import kernel


@kernel()
def replace_sorted(window, first, size, old, new):
    """Put a value in the place of another in an ascending stretch of a row.

    Args:
        window: float64[n]; ``window[first : first + size]`` is ascending, and is mutated.
        first: where the stretch begins.
        size: its length.
        old: a value of the stretch.
        new: the value that takes its place.
    """
    low, high = first, first + size - 1
    while low < high:
        middle = (low + high) >> 1
        if window[middle] < old:
            low = middle + 1
        else:
            high = middle
    last = first + size - 1
    while low < last and window[low + 1] < new:
        window[low] = window[low + 1]
        low += 1
    while low > first and window[low - 1] > new:
        window[low] = window[low - 1]
        low -= 1
    window[low] = new


@kernel()
def _value_of(params, memory, window, change):
    """The value that a sample adds: its return, or the sum over the overlapping period, standardised; NaN if none."""
    volatility = np.sqrt(memory[S_VARIANCE])
    overlap = np.int64(params[P_OVERLAP])
    kind = params[P_FILTER]
    if overlap == 1:
        if kind == FILTER_NONE:
            return change
        return change / volatility if volatility > 0.0 else 0.0
    returns = 2 * np.int64(params[P_WINDOW])
    volatilities = returns + overlap
    samples = np.int64(memory[S_SAMPLES])
    window[returns + samples % overlap] = change
    window[volatilities + samples % overlap] = volatility
    if samples + 1 < overlap:
        return np.nan
    total = np.float64(0.0)
    for back in range(overlap - 1, -1, -1):
        at = (samples - back) % overlap
        if kind != FILTER_DAYS:
            total += window[returns + at]
        elif window[volatilities + at] > 0.0:
            total += window[returns + at] / window[volatilities + at]
    if kind == FILTER_START:
        begin = window[volatilities + (samples + 1) % overlap]
        return total / begin if begin > 0.0 else 0.0
    return total


@kernel()
def observe_window(params, memory, window, change):
    """Feed a return between samples to the window, before it reaches the variance.

    Args:
        params: float64[K], the contract's row of ``model_params``.
        memory: float64[K], its row of ``model_state``; the place in the ring is mutated, and ``S_SAMPLES`` counts the
            samples before this one.
        window: float64[n], its row of ``model_window``; mutated.
        change: log return of the mark since the last sample.
    """
    value = _value_of(params, memory, window, change)
    if np.isnan(value):
        return
    size = np.int64(params[P_WINDOW])
    place = np.int64(memory[S_PLACE])
    replace_sorted(window, size, size, window[place], value)
    window[place] = value
    memory[S_PLACE] = (place + 1) % size


@kernel()
def _tail(params, window, lower):
    """Loss at one tail of the sorted values: interpolated quantile, or mean of the values at or beyond it."""
    size = np.int64(params[P_WINDOW])
    count = np.int64(params[P_TAIL_COUNT])
    begin = size if lower else 2 * size - 1
    step = 1 if lower else -1
    sign = -1.0 if lower else 1.0
    if params[P_MEASURE] == MEASURE_ES:
        total = np.float64(0.0)
        for i in range(count):
            total += window[begin + step * i]
        return sign * (total / count)
    inner = window[begin + step * (count - 1)]
    outer = window[begin + step * min(count, size - 1)]
    return sign * (inner + params[P_TAIL_PART] * (outer - inner))


@kernel()
def tail_loss(params, window):
    """Loss at the lower tail, the upper tail, or the larger of both; at least zero."""
    loss = np.float64(0.0)
    if params[P_TAILS] != TAIL_UPPER:
        loss = max(loss, _tail(params, window, True))
    if params[P_TAILS] != TAIL_LOWER:
        loss = max(loss, _tail(params, window, False))
    return loss
