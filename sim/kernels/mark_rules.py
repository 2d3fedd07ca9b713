"""Mark rules that need more than the book of the moment, each from its published definition.

Every rule is a function of averages at the end of the previous step and of the book as it stands: it reads the present
book as the newest sample of an average and writes nothing that a second reading in the same step would see twice.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.realmath import exp
from sim.kernels.state import (
    M_HISTORY,
    M_STEP,
    MK_BASIS_SUM,
    MK_BASIS_SUM_STEP,
    MK_BASIS_SUM_WINDOW,
    MK_BASIS_WINDOW,
    MK_INDEX,
    MK_INDEX_RATE,
    MK_INDEX_STEP,
    MK_INDEX_WEIGHT,
    MK_LIMIT_HIGH,
    MK_LIMIT_LOW,
    MK_PREMIUM,
    MK_PREMIUM_RATE,
    MK_PREMIUM_STEP,
    MK_PREMIUM_WEIGHT,
    MK_SUM,
    MK_SUM_STEP,
    MK_SUM_WINDOW,
    MK_TRADE,
    MK_TRADE_RATE,
    MK_TRADE_STEP,
    MK_TRADE_WEIGHT,
    MK_WINDOW,
    OP_PERP,
    OR_STALE,
    OR_STALE_POLICY,
    PRICE_INDEX,
    PRICE_MID,
    STALE_MID,
)


@kernel()
def nearest(x):
    """The nearest integer, halves up."""
    return np.int64(np.floor(x + 0.5))


@kernel()
def median_of_three(a, b, c):
    """The middle one of three."""
    return max(min(a, b), min(max(a, b), c))


@kernel()
def index_is_unusable(state, contract):
    """True while the oracle is stale and the book stands in for it."""
    cells = state.oracle[contract]
    return cells[OR_STALE] != 0.0 and cells[OR_STALE_POLICY] == STALE_MID


@kernel()
def _sample(state, contract, step, basis):
    """What a window averages of a past step, sub-ticks: the mid, or its distance from the index."""
    row = step & (state.meta[M_HISTORY] - 1)
    mid = state.price_history[row, contract, PRICE_MID]
    return mid - state.price_history[row, contract, PRICE_INDEX] if basis else mid


@kernel()
def _window_sum(state, contract, window, basis):
    """Sum over the window's steps before this one, exact, moved on by one step where that is possible.

    Mutates the sums in ``marking``, to values that depend on completed steps alone.
    """
    total, held, width = (
        (MK_BASIS_SUM, MK_BASIS_SUM_STEP, MK_BASIS_SUM_WINDOW) if basis else (MK_SUM, MK_SUM_STEP, MK_SUM_WINDOW)
    )
    step = state.meta[M_STEP]
    cells = state.marking[contract]
    if cells[width] == window and cells[held] == step:
        return cells[total]
    if cells[width] == window and cells[held] == step - 1 and step > 1:
        cells[total] += _sample(state, contract, step - 1, basis)
        if step - window >= 1:
            cells[total] -= _sample(state, contract, step - window, basis)
    else:
        cells[total] = 0.0
        for past in range(max(step - window + 1, 1), step):
            cells[total] += _sample(state, contract, past, basis)
    cells[held] = step
    cells[width] = window
    return cells[total]


@kernel()
def window_mean(state, contract, window, basis, now):
    """Time-weighted mean over a window that ends with the present reading; over the run so far while that is shorter.

    All steps last equally long, so the mean over steps is the mean over time.

    Args:
        state: the market.
        contract: contract index.
        window: steps, the present one included.
        basis: True for mid less index, False for the mid.
        now: the present reading, sub-ticks.

    Returns:
        Mean in sub-ticks, a float.
    """
    steps = max(min(window, state.meta[M_STEP]), 1)
    return (_window_sum(state, contract, window, basis) + now) / steps


@kernel()
def moved_average(numerator, weight, rate, steps, sample):
    """Numerator and weight of an exponential average after a sample that stands for the steps since the last one.

    ``numerator -> numerator e**(-t / T) + sample t`` and ``weight -> weight e**(-t / T) + t`` with t the time since
    the last sample (Hyperliquid, "Robust price indices"); the unit of t cancels, here it is a step.
    """
    left = exp(-rate * steps)
    return numerator * left + sample * steps, weight * left + steps


@kernel()
def _average_with(state, contract, value, weight, stamp, rate, sample):
    """The average with one more sample, which is not kept."""
    cells = state.marking[contract]
    steps = max(state.meta[M_STEP] - cells[stamp], 1.0)
    top, bottom = moved_average(cells[value], cells[weight], cells[rate], steps, sample)
    return top / bottom


@kernel()
def _keep(state, contract, value, weight, stamp, rate, sample):
    """Put a sample into an average for good. Mutates ``marking``."""
    cells = state.marking[contract]
    steps = max(state.meta[M_STEP] - cells[stamp], 1.0)
    cells[value], cells[weight] = moved_average(cells[value], cells[weight], cells[rate], steps, sample)
    cells[stamp] = state.meta[M_STEP]


@kernel()
def trade_median(state, contract):
    """Median of best bid, best ask and last trade in sub-ticks; -1 while a side of the book is empty."""
    quote = state.quotes[contract]
    if quote.bid <= 0 or quote.ask <= 0:
        return np.int64(-1)
    return median_of_three(quote.bid, quote.ask, quote.last) * 16


@kernel()
def perpetual_mids(state, contract):
    """Weighted median of the mids of perpetuals on other venues in sub-ticks; -1 where the world has none."""
    if state.oracle_path.shape[0] == 1:
        return np.int64(-1)
    price = state.oracle_path[min(state.meta[M_STEP], state.oracle_path.shape[0] - 1), contract, OP_PERP]
    return nearest(price * 16.0) if price > 0.0 else np.int64(-1)


@kernel()
def hyperliquid_mark(state, contract, mid):
    """Median of oracle plus average premium, of bid, ask and last, and of perpetuals elsewhere.

    Exactly two of them: the 30 s average of the second joins them (Hyperliquid, "Robust price indices"). An input does
    not exist while a side of the book is empty (the second), without external perpetuals (the third), and while a
    stale oracle is not to be used (the first). One input, or two before the first sample of that average, decide alone,
    two by their mean.
    """
    index = state.quotes[contract].index
    one = np.int64(-1)
    if not index_is_unusable(state, contract):
        premium = _average_with(
            state, contract, MK_PREMIUM, MK_PREMIUM_WEIGHT, MK_PREMIUM_STEP, MK_PREMIUM_RATE, np.float64(mid - index)
        )
        one = max(index + nearest(premium), np.int64(1))
    two = trade_median(state, contract)
    three = perpetual_mids(state, contract)
    inputs = np.int64(one > 0) + np.int64(two > 0) + np.int64(three > 0)
    if inputs == 3:
        return median_of_three(one, two, three)
    if inputs == 0:
        return mid
    high = max(one, two, three)
    if inputs == 1:
        return high
    low = one + two + three + 1 - high  # the one that is missing counts as -1
    if two > 0:
        fallback = _average_with(
            state, contract, MK_TRADE, MK_TRADE_WEIGHT, MK_TRADE_STEP, MK_TRADE_RATE, np.float64(two)
        )
    elif state.marking[contract, MK_TRADE_WEIGHT] > 0.0:
        fallback = state.marking[contract, MK_TRADE] / state.marking[contract, MK_TRADE_WEIGHT]
    else:
        fallback = 0.5 * (low + high)
    return median_of_three(low, high, nearest(fallback))


@kernel()
def deribit_mark(state, contract, mid):
    """Index plus the 30 s exponential average of market less index, within limits around the index.

    Deribit, "Linear Futures", sections "Mark Price" and "Asymmetric bandwidths".
    """
    index = state.quotes[contract].index
    basis = _average_with(
        state, contract, MK_INDEX, MK_INDEX_WEIGHT, MK_INDEX_STEP, MK_INDEX_RATE, np.float64(mid - index)
    )
    mark = index + nearest(basis)
    low = nearest(index * state.marking[contract, MK_LIMIT_LOW])
    return min(max(mark, low), nearest(index * state.marking[contract, MK_LIMIT_HIGH]))


@kernel()
def index_median_mark(state, contract, mid):
    """Median of the index grown by the last funding rate, of the index plus the average basis, of the last trade.

    Binance, "Mark Price in USD-margined Futures": P1 = index x (1 + last funding rate x time left / interval), P2 =
    index + moving average of (mid - index), median of P1, P2 and the last price. With a window of zero the average of
    the basis is exponential.
    """
    quote = state.quotes[contract]
    index = quote.index
    interval = state.contracts[contract].funding_interval
    carried = index
    if interval > 0:
        left = interval - (state.meta[M_STEP] - quote.funding_last)
        carried = index + nearest(index * (quote.funding_rate / 4294967296.0) * (left / interval))
    window = np.int64(state.marking[contract, MK_BASIS_WINDOW])
    if window > 0:
        basis = window_mean(state, contract, window, True, mid - index)
    else:
        basis = quote.basis + state.contracts[contract].ema_alpha * ((mid - index) - quote.basis)
    return median_of_three(carried, index + nearest(basis), quote.last * 16)


@kernel()
def twap_mark(state, contract, mid):
    """Time-weighted mean of the mid over the window."""
    return nearest(window_mean(state, contract, np.int64(state.marking[contract, MK_WINDOW]), False, mid))


@kernel()
def close_averages(state, contract):
    """Move the averages to the end of the step and write the mid and the index into their ring.

    All of them, whatever the rule in force, so that a fork to another rule finds them. Mutates ``marking`` and
    ``price_history``.
    """
    mid, index = state.quotes[contract].mid, state.quotes[contract].index
    now = state.meta[M_STEP] & (state.meta[M_HISTORY] - 1)
    state.price_history[now, contract, PRICE_MID] = mid
    state.price_history[now, contract, PRICE_INDEX] = index
    premium = np.float64(mid - index)
    _keep(state, contract, MK_PREMIUM, MK_PREMIUM_WEIGHT, MK_PREMIUM_STEP, MK_PREMIUM_RATE, premium)
    _keep(state, contract, MK_INDEX, MK_INDEX_WEIGHT, MK_INDEX_STEP, MK_INDEX_RATE, premium)
    traded = trade_median(state, contract)
    if traded > 0:
        _keep(state, contract, MK_TRADE, MK_TRADE_WEIGHT, MK_TRADE_STEP, MK_TRADE_RATE, np.float64(traded))
