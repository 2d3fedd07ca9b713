"""Leveraged traders: those who open on a trend and hold, and those who rebalance to a target leverage."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import (
    DRAW_ROW,
    clipped,
    limit_near_mark,
    log_mid_before,
    log_uniform,
    take_limit,
    value_of_lot,
)
from sim.kernels import ledger
from sim.kernels.jit import kernel
from sim.kernels.keyed import uniform
from sim.kernels.messages import wake_range
from sim.kernels.realmath import ln
from sim.kernels.state import (
    BUY,
    DECIDE,
    M_SEED,
    M_STEP,
    OPEN,
    PI_CONTRACT,
    PI_FIRST,
    PI_PERIOD,
    PI_STREAM,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
)

# Trend followers
PARAMS = (
    "open_z", "exit_z", "bias", "log_miss", "cooldown", "headroom", "slippage", "exit_slippage",
)  # fmt: skip
OPEN_Z, EXIT_Z, BIAS, LOG_MISS, COOLDOWN, HEADROOM, SLIPPAGE, EXIT_SLIPPAGE = range(8)
FLOATS = ("leverage",)
LEVERAGE = 0
INTS = ("next_attention", "horizon", "direction", "attentions")
NEXT_ATTENTION, HORIZON, DIRECTION, ATTENTIONS = range(4)

# Leverage targeters (``leverage`` is column 0 of theirs too)
TARGETER_PARAMS = ("tolerance", "child_lots", "cooldown", "headroom", "slippage", "exit_slippage")
T_TOLERANCE, T_CHILD_LOTS, T_COOLDOWN, T_HEADROOM, T_SLIPPAGE, T_EXIT_SLIPPAGE = range(6)
TARGETER_INTS = ("direction", "enter_step")
T_DIRECTION, T_ENTER_STEP = range(2)


@kernel()
def fill_followers(state, first, uniforms, columns):
    """Write the rows of trend followers. ``columns``: low and high leverage, low and high horizon, contrarian share."""
    for row in range(uniforms.shape[0]):
        account = first + row
        state.trader_floats[account, LEVERAGE] = log_uniform(uniforms[row, 0], columns[0], columns[1])
        state.trader_ints[account, HORIZON] = np.int64(log_uniform(uniforms[row, 1], columns[2], columns[3]) + 0.5)
        state.trader_ints[account, DIRECTION] = -1 if uniforms[row, 2] < columns[4] else 1
        state.trader_ints[account, NEXT_ATTENTION] = -1
        state.trader_ints[account, ATTENTIONS] = 0


@kernel()
def fill_targeters(state, first, uniforms, columns):
    """Write the rows of leverage targeters. ``columns``: low and high leverage, share of longs, steps to enter."""
    for row in range(uniforms.shape[0]):
        account = first + row
        state.trader_floats[account, LEVERAGE] = log_uniform(uniforms[row, 0], columns[0], columns[1])
        state.trader_ints[account, T_DIRECTION] = 1 if uniforms[row, 1] < columns[2] else -1
        state.trader_ints[account, T_ENTER_STEP] = np.int64(uniforms[row, 2] * columns[3])


@kernel()
def may_trade(state, account, cooldown):
    """Whether an account is open, not under a call, and past its pause after a liquidation."""
    if state.accounts[account].status != OPEN:
        return False
    last = state.accounts[account].last_liquidation
    return last < 0 or state.meta[M_STEP] - last >= cooldown


@kernel()
def affordable_leverage(state, contract, wanted, headroom):
    """The leverage a trader goes to: what he wants, unless the initial rate allows less (with headroom)."""
    rate = state.rate_initial[contract]
    if rate <= 0:
        return wanted
    return min(wanted, headroom * RATE_ONE / rate)


@kernel()
def leave(state, account, contract, lots, slippage):
    """Reduce a position by signed lots, at a limit not far from the mark."""
    side = np.int64(BUY if lots > 0 else SELL)
    take_limit(state, account, contract, lots, limit_near_mark(state, contract, side, slippage), REDUCE_ONLY, 0)


@kernel()
def attends(state, account, row, seed, stream, wake, log_miss):
    """Whether a follower attends at this wake. Attentions are Bernoulli per wake, drawn as geometric gaps.

    Mutates the row's next attention. Draws: one per row and attention, whatever the trader holds.
    """
    while state.trader_ints[account, NEXT_ATTENTION] < wake:
        number = state.trader_ints[account, ATTENTIONS] + 1
        gap = 1 + np.int64(ln(uniform(seed, stream + DRAW_ROW, number, row)) / log_miss)
        state.trader_ints[account, ATTENTIONS] = number
        state.trader_ints[account, NEXT_ATTENTION] += gap
    return state.trader_ints[account, NEXT_ATTENTION] == wake


@kernel()
def _open(state, account, contract, parameters, sign):
    """Send the opening order: as many lots as leverage and initial margin with the limit's loss allow."""
    money = ledger.equity(state, account)
    lot_value = value_of_lot(state, contract)
    if money <= 0 or lot_value <= 0.0:
        return
    slippage = parameters[SLIPPAGE]
    wanted = affordable_leverage(state, contract, state.trader_floats[account, LEVERAGE], parameters[HEADROOM])
    rate = state.rate_initial[contract] / np.float64(RATE_ONE)
    leverage = min(wanted, 1.0 / (rate + slippage))
    lots = min(np.int64(leverage * money / lot_value), state.contracts[contract].max_lots)
    if lots > 0:
        price = limit_near_mark(state, contract, np.int64(sign), slippage)
        take_limit(state, account, contract, sign * lots, price, 0, 0)


@kernel(DECIDE)
def follow(state, population):
    """Trend followers: flat rows that attend may open, holders leave when the trend has turned.

    Most rows that wake are flat and do not attend: they cost two reads. Mutates ``trader_ints`` of flat waking rows.
    """
    low, high = wake_range(state, population)
    if low == high:
        return
    step, seed = state.meta[M_STEP], state.meta[M_SEED]
    first = state.pop_ints[population, PI_FIRST]
    contract = state.pop_ints[population, PI_CONTRACT]
    stream = state.pop_ints[population, PI_STREAM]
    wake = step // state.pop_ints[population, PI_PERIOD]
    parameters = state.pop_params[population]
    log_miss, cooldown = parameters[LOG_MISS], np.int64(parameters[COOLDOWN])
    now = log_mid_before(state, contract, np.int64(0))
    sigma = np.sqrt(state.quotes[contract].variance_slow)
    if sigma <= 0.0:
        return
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        lots = state.positions[account, contract].lots
        if lots == 0:
            if state.trader_ints[account, NEXT_ATTENTION] > wake:
                continue
            if not attends(state, account, account - first, seed, stream, wake, log_miss):
                continue
        horizon = state.trader_ints[account, HORIZON]
        move = now - log_mid_before(state, contract, horizon)
        trend = move / (sigma * np.sqrt(np.float64(horizon)))
        signal = state.trader_ints[account, DIRECTION] * trend + parameters[BIAS]
        if lots == 0:
            if abs(signal) > parameters[OPEN_Z] and may_trade(state, account, cooldown):
                _open(state, account, contract, parameters, 1 if signal > 0.0 else -1)
        elif (signal if lots > 0 else -signal) < -parameters[EXIT_Z]:
            leave(state, account, contract, -lots, parameters[EXIT_SLIPPAGE])


@kernel(DECIDE)
def rebalance(state, population):
    """Leverage targeters: waking rows move towards target leverage when they are off by more than the tolerance."""
    low, high = wake_range(state, population)
    if low == high:
        return
    step = state.meta[M_STEP]
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    lot_value = value_of_lot(state, contract)
    child, cooldown = np.int64(parameters[T_CHILD_LOTS]), np.int64(parameters[T_COOLDOWN])
    if lot_value <= 0.0:
        return
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        if state.trader_ints[account, T_ENTER_STEP] > step:
            continue
        lots = state.positions[account, contract].lots
        money = max(ledger.equity(state, account), np.int64(0))
        wanted = state.trader_floats[account, LEVERAGE]
        leverage = affordable_leverage(state, contract, wanted, parameters[T_HEADROOM])
        size = min(np.int64(leverage * money / lot_value), state.contracts[contract].max_lots)
        gap = state.trader_ints[account, T_DIRECTION] * size - lots
        if abs(gap) <= parameters[T_TOLERANCE] * max(size, abs(lots)):
            continue
        if gap * lots < 0:
            leave(state, account, contract, clipped(gap, min(child, abs(lots))), parameters[T_EXIT_SLIPPAGE])
        elif may_trade(state, account, cooldown):
            side = np.int64(BUY if gap > 0 else SELL)
            price = limit_near_mark(state, contract, side, parameters[T_SLIPPAGE])
            take_limit(state, account, contract, clipped(gap, child), price, 0, 0)
