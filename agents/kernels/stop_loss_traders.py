"""Stop-loss traders: positions with a stop off the book, a market order once the price is through it."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import DRAW_ROW, clipped, limit_near_mark, send, take_limit, value_of_lot
from sim.kernels import ledger
from sim.kernels.jit import kernel
from sim.kernels.keyed import uniform4
from sim.kernels.messages import wake_range
from sim.kernels.realmath import ln
from sim.kernels.state import (
    BUY,
    CAUSE_NONE,
    CLOSED,
    DECIDE,
    IOC,
    M_SEED,
    M_STEP,
    MARKET,
    NEW,
    OPEN,
    PI_CONTRACT,
    PI_FIRST,
    PI_STREAM,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
    SUBTICKS,
)

PARAMS = (
    "long_share", "size_mean", "stop_least", "stop_mean", "round_ticks", "round_share", "hold", "pause", "trailing",
    "on_last", "headroom", "slippage",
)  # fmt: skip
LONG_SHARE, SIZE_MEAN, STOP_LEAST, STOP_MEAN, ROUND_TICKS, ROUND_SHARE, HOLD, PAUSE = range(8)
TRAILING, ON_LAST, HEADROOM, SLIPPAGE = range(8, 12)
INTS = ("stop", "distance", "due", "draws")
STOP, DISTANCE, DUE, DRAWS = range(4)


@kernel()
def trigger_price(state, contract, on_last):
    """Price that triggers stops, sub-ticks: the last trade or the mark."""
    return state.quotes[contract].last * SUBTICKS if on_last != 0.0 else state.quotes[contract].mark


@kernel()
def stop_level(price, side, distance, snap, grid):
    """Stop in ticks at a fraction ``distance`` from a price in sub-ticks, at least a tick away from it.

    Args:
        price: sub-ticks.
        side: BUY of a long position, whose stop lies below.
        distance: fraction of the price.
        snap: move the stop just behind the nearest round number.
        grid: ticks between round numbers.
    """
    level = np.int64(np.floor(price * (1.0 - side * distance) / SUBTICKS + 0.5))
    if snap:
        level = (level + grid // 2) // grid * grid - side
        if side * (price - level * SUBTICKS) < SUBTICKS:
            level -= side * grid
    elif side * (price - level * SUBTICKS) < SUBTICKS:
        level = np.int64(price // SUBTICKS) - side
    return max(level, np.int64(1))


@kernel()
def _set_stop(state, account, price, side, parameters, u, v):
    """Draw the stop of a position. Mutates the row's columns."""
    distance = parameters[STOP_LEAST] - (parameters[STOP_MEAN] - parameters[STOP_LEAST]) * ln(u)
    grid = np.int64(parameters[ROUND_TICKS])
    stop = stop_level(price, side, min(distance, 0.99), v < parameters[ROUND_SHARE], grid)
    state.trader_ints[account, STOP] = stop
    state.trader_ints[account, DISTANCE] = abs(price // SUBTICKS - stop)


@kernel()
def _enter(state, account, contract, price, parameters, four, room):
    """Take a position and give it its stop."""
    side = np.int64(BUY if four[0] < parameters[LONG_SHARE] else SELL)
    size = min(np.int64(1.0 - (parameters[SIZE_MEAN] - 1.0) * ln(four[1]) + 0.5), room)
    if size > 0:
        _set_stop(state, account, price, side, parameters, four[2], four[3])
        limit = limit_near_mark(state, contract, side, parameters[SLIPPAGE])
        take_limit(state, account, contract, side * size, limit, 0, 0)


@kernel()
def _leave(state, account, contract, lots):
    """Close at market; what the band does not let it fill is sent again in the next step."""
    lots = clipped(lots, state.contracts[contract].max_lots)
    side = np.int64(SELL if lots > 0 else BUY)
    send(state, account, contract, NEW, side, IOC, MARKET | REDUCE_ONLY, 0, abs(lots), 0, CAUSE_NONE)


@kernel(DECIDE)
def decide(state, population):
    """Send the stops that are through, and open and end positions. Draws: eight per entry, indexed by the row's count.

    Mutates ``trader_ints`` of rows.
    """
    low, high = wake_range(state, population)
    if low == high:
        return
    step, seed = state.meta[M_STEP], state.meta[M_SEED]
    first = state.pop_ints[population, PI_FIRST]
    contract = state.pop_ints[population, PI_CONTRACT]
    stream = state.pop_ints[population, PI_STREAM] + DRAW_ROW
    parameters = state.pop_params[population]
    price = trigger_price(state, contract, parameters[ON_LAST])
    rate = state.rate_initial[contract] / np.float64(RATE_ONE) + parameters[SLIPPAGE]
    needed = value_of_lot(state, contract) * rate
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        if state.accounts[account].status == CLOSED:
            continue
        lots = state.positions[account, contract].lots
        stop, due = state.trader_ints[account, STOP], state.trader_ints[account, DUE]
        if lots == 0 and stop == 0 and (step < due or state.accounts[account].status != OPEN):
            continue
        if lots != 0 and stop != 0:
            side = np.int64(BUY if lots > 0 else SELL)
            if side * (price - stop * SUBTICKS) <= 0 or step >= due:
                _leave(state, account, contract, lots)
            elif parameters[TRAILING] != 0.0:
                follow = price // SUBTICKS - side * state.trader_ints[account, DISTANCE]
                if side * (follow - stop) > 0:
                    state.trader_ints[account, STOP] = follow
            continue
        state.trader_ints[account, DRAWS] += 1
        draws = state.trader_ints[account, DRAWS]
        four = uniform4(seed, stream, draws, account - first, np.int64(0))
        times = uniform4(seed, stream, draws, account - first, np.int64(1))
        if lots != 0:  # a position that came otherwise, as by a scripted trade, gets its stop now
            side = np.int64(BUY if lots > 0 else SELL)
            _set_stop(state, account, price, side, parameters, four[2], four[3])
            state.trader_ints[account, DUE] = step + 1 - np.int64(parameters[HOLD] * ln(times[0]))
        elif stop != 0:  # the position has ended
            state.trader_ints[account, STOP] = 0
            state.trader_ints[account, DUE] = step + 1 - np.int64(parameters[PAUSE] * ln(times[1]))
        else:
            room = state.contracts[contract].max_lots
            if needed > 0.0:
                equity = np.float64(max(ledger.equity(state, account), np.int64(0)))
                room = min(room, np.int64(min(parameters[HEADROOM] * equity / needed, 4e18)))
            _enter(state, account, contract, price, parameters, four, room)
            state.trader_ints[account, DUE] = step + 1 - np.int64(parameters[HOLD] * ln(times[0]))
