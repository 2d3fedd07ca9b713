"""Circuit breakers: halts, bands around an earlier mark, throttled forced orders, margin that grows with stress.

Everything here is off while its cell of ``state.breakers`` is zero, and then costs one comparison.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.events import record_event
from sim.kernels.jit import kernel
from sim.kernels.realmath import exp, ln
from sim.kernels.record import depth_near
from sim.kernels.state import (
    BS_BUY_ROOM,
    BS_MULTIPLIER,
    BS_SELL_ROOM,
    BS_UNTIL,
    BUY,
    CB_BAND,
    CB_HALT_MOVE,
    CB_HALT_STEPS,
    CB_HALT_WINDOW,
    CB_STRESS_FROM,
    CB_STRESS_MOST,
    CB_STRESS_SLOPE,
    CB_THROTTLE,
    EV_HALT,
    M_CONTRACTS,
    M_HALTED,
    M_HISTORY,
    M_RISK_SLOTS,
    M_SCENARIOS,
    M_STEP,
    RATE_ONE,
    SELL,
)
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor


@kernel()
def halted(state, k):
    """True while contract k is halted: from the reading that stopped it to the end of the last halted step."""
    return state.breaker_state[k, BS_UNTIL] > state.meta[M_STEP]


@kernel()
def window_start(state, k):
    """Step at whose end the window of moves begins; a halt ends the window before it, or it would halt again at once.

    After a halt the first mark of the window is that of the last halted step.
    """
    since = max(state.meta[M_STEP] - state.breakers[CB_HALT_WINDOW], state.breaker_state[k, BS_UNTIL] - 1)
    return max(since, np.int64(0))


@kernel()
def past_mark(state, k, step):
    """Mark at the end of a step of the ring, sub-ticks: the logarithm that is kept there rounds back exactly."""
    return np.int64(np.floor(exp(state.mark_history[step & (state.meta[M_HISTORY] - 1), k]) * 16.0 + 0.5))


@kernel()
def move_needed(past, move):
    """Sub-ticks by which a mark must have moved from ``past`` to have moved by the fraction ``move`` (2**-32).

    The stored fraction is a rounded one: one unit less is the fraction that was meant, or below it by nothing that a
    whole number of sub-ticks shows.
    """
    return max(-mul_shift_floor(-past, move - 1, 32), np.int64(1))


@kernel()
def _extremes(state, k):
    """Highest and lowest mark of the window, sub-ticks; the mark before clearing of this step is in it."""
    ring = state.meta[M_HISTORY] - 1
    first, last = window_start(state, k), state.meta[M_STEP]
    high, low = first, first
    for step in range(first + 1, last + 1):
        value = state.mark_history[step & ring, k]
        if value > state.mark_history[high & ring, k]:
            high = np.int64(step)
        if value < state.mark_history[low & ring, k]:
            low = np.int64(step)
    return past_mark(state, k, high), past_mark(state, k, low)


@kernel()
def check_halts(state):
    """Halt every contract whose mark has moved too far within the window, and count the halted ones.

    Called at every reading of marks: after matching, between rounds of clearing, after the last one. Mutates
    ``breaker_state``, ``meta[M_HALTED]``, events.
    """
    move = state.breakers[CB_HALT_MOVE]
    if move == 0:
        return
    count = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        if not halted(state, k):
            mark = state.quotes[k].mark
            high, low = _extremes(state, k)
            past = np.int64(0)
            if high - mark >= move_needed(high, move):
                past = high
            elif mark - low >= move_needed(low, move):
                past = low
            if past > 0:
                until = state.meta[M_STEP] + state.breakers[CB_HALT_STEPS] + 1
                state.breaker_state[k, BS_UNTIL] = until
                moved = mul_div_floor(mark - past, RATE_ONE, past)
                record_event(state, EV_HALT, k, -1, 0, until, moved, mark)
        if halted(state, k):
            count += 1
    state.meta[M_HALTED] = count


@kernel()
def band_bottom(state, k):
    """Lowest price of a sell order, ticks: the mark at the start of the window less the band; 1 without a band."""
    band = state.breakers[CB_BAND]
    if band == 0:
        return np.int64(1)
    past = past_mark(state, k, window_start(state, k))
    return max((past - mul_shift_floor(past, band, 32) + 15) >> 4, np.int64(1))


@kernel()
def band_top(state, k):
    """Highest price of a buy order, ticks: the mark at the start of the window and the band."""
    band = state.breakers[CB_BAND]
    if band == 0:
        return state.contracts[k].max_price
    past = past_mark(state, k, window_start(state, k))
    return min((past + mul_shift_floor(past, band, 32)) >> 4, state.contracts[k].max_price)


@kernel()
def within_band(state, k, side, limit):
    """Limit of a forced order, ticks, no worse than the band of the breaker allows."""
    if state.breakers[CB_BAND] == 0:
        return limit
    return min(limit, band_top(state, k)) if side == BUY else max(limit, band_bottom(state, k))


@kernel()
def measure_room(state):
    """Lots that forced orders may take from each side of each book in this step. Mutates ``breaker_state``."""
    share = state.breakers[CB_THROTTLE]
    if share == 0:
        return
    for k in range(state.meta[M_CONTRACTS]):
        state.breaker_state[k, BS_SELL_ROOM] = mul_shift_floor(depth_near(state, k, BUY), share, 32)
        state.breaker_state[k, BS_BUY_ROOM] = mul_shift_floor(depth_near(state, k, SELL), share, 32)


@kernel()
def throttled(state, k, side, lots):
    """Lots of a forced order that the throttle lets through; what is held back carries over.

    Args:
        state: the market.
        k: contract.
        side: of the forced order.
        lots: that it would send.
    """
    if state.breakers[CB_THROTTLE] == 0:
        return lots
    return min(lots, state.breaker_state[k, BS_BUY_ROOM if side == BUY else BS_SELL_ROOM])


@kernel()
def count_forced(state, k, side, filled):
    """Take filled forced lots off what the throttle leaves. Mutates ``breaker_state``."""
    if state.breakers[CB_THROTTLE] != 0:
        state.breaker_state[k, BS_BUY_ROOM if side == BUY else BS_SELL_ROOM] -= filled


@kernel()
def all_halted(state, account, contract):
    """True when nothing of an account (contract -1) or isolated position can trade: every contract held is halted."""
    if state.meta[M_HALTED] == 0:
        return False
    for k in range(state.meta[M_CONTRACTS]):
        if (contract < 0 or k == contract) and state.positions[account, k].lots != 0 and not halted(state, k):
            return False
    return True


@kernel()
def held_back(state, account, contract):
    """True when a halt or the throttle, not the price, stands between an account and the book.

    What is held back carries over; it does not go down the waterfall.
    """
    if state.meta[M_HALTED] == 0 and state.breakers[CB_THROTTLE] == 0:
        return False
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots == 0 or (contract >= 0 and k != contract):
            continue
        if halted(state, k) or throttled(state, k, SELL if lots > 0 else BUY, np.int64(1)) == 0:
            return True
    return False


@kernel()
def _unbiased(variance, alpha, updates):
    """An average that started from zero, over the weight that its returns have so far."""
    return variance / (1.0 - exp(np.float64(updates) * ln(1.0 - alpha))) if alpha < 1.0 else variance


@kernel()
def stress_index(state, k):
    """Fast over slow volatility of contract k: the square root of the ratio of the averages of squared mid returns.

    Both averages start from zero; each is divided by the weight that the returns so far have in it, so that the index
    of a steady market is one from the start. One where there is nothing to compare yet.
    """
    updates = state.meta[M_STEP] - 1  # averages move at the end of a step
    terms, quote = state.contracts[k], state.quotes[k]
    if updates < 1 or quote.variance_slow <= 0.0:
        return 1.0
    fast = _unbiased(quote.variance_fast, terms.variance_fast_alpha, updates)
    return np.sqrt(fast / _unbiased(quote.variance_slow, terms.variance_slow_alpha, updates))


@kernel()
def multiplier_of(state, index):
    """Margin multiplier of a stress index, 2**-32: clip(1 + slope x (index - from), 1, most)."""
    above = index - state.breakers[CB_STRESS_FROM] / RATE_ONE
    factor = 1.0 + state.breakers[CB_STRESS_SLOPE] / RATE_ONE * above
    return np.int64(np.floor(min(max(factor, 1.0), state.breakers[CB_STRESS_MOST] / RATE_ONE) * RATE_ONE + 0.5))


@kernel()
def factor_in_force(state, k):
    """The multiplier last computed for contract k, so small that its maintenance rate stays within 100 %.

    Options have that of the contract that prices their underlying, which is what they are charged by.
    """
    k = state.contracts[k].reference if state.contracts[k].option != 0 else np.int64(k)
    factor = max(state.breaker_state[k, BS_MULTIPLIER], np.int64(RATE_ONE))
    rate = state.model_rates[0, k, 1]
    return min(factor, mul_div_floor(np.int64(RATE_ONE), RATE_ONE, rate)) if rate > 0 else factor


@kernel()
def multiply_initial(state):
    """Multiply the rates that bind new orders, to at most 100 %. Mutates ``rate_initial``."""
    for k in range(state.meta[M_CONTRACTS]):
        state.rate_initial[k] = min(mul_rate(state.rate_initial[k], factor_in_force(state, k)), np.int64(RATE_ONE))


@kernel()
def multiply_grid(state, row):
    """Multiply the scenario profits of a row of the risk ring, towards zero. Mutates ``scenario_pnl``."""
    for k in range(state.meta[M_CONTRACTS]):
        factor = factor_in_force(state, k)
        for s in range(state.meta[M_SCENARIOS]):
            profit = state.scenario_pnl[row, k, s]
            size = mul_shift_floor(abs(profit), factor, 32)
            state.scenario_pnl[row, k, s] = size if profit >= 0 else -size


@kernel()
def stress(state):
    """Multiply what was just announced by the stress of each contract; maintenance has its notice like any rate.

    Mutates ``rate_initial``, the newest row of ``rate_maintenance`` and ``scenario_pnl``, and ``breaker_state``.
    """
    if state.breakers[CB_STRESS_SLOPE] == 0:
        return
    row = state.meta[M_STEP] % state.meta[M_RISK_SLOTS]
    for k in range(state.meta[M_CONTRACTS]):
        state.breaker_state[k, BS_MULTIPLIER] = multiplier_of(state, stress_index(state, k))
        rate = mul_rate(state.rate_maintenance[row, k], factor_in_force(state, k))
        state.rate_maintenance[row, k] = min(rate, np.int64(RATE_ONE))
    multiply_initial(state)
    multiply_grid(state, row)
