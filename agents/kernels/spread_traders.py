"""Spread traders: long one contract and short another while their price ratio is off their value ratio."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import clipped, limit_near_mark, take_limit, value_now, value_of_lot
from sim.kernels import ledger, values
from sim.kernels.jit import kernel
from sim.kernels.messages import wake_range
from sim.kernels.realmath import ln
from sim.kernels.state import (
    BUY,
    CLOSED,
    DECIDE,
    M_SCENARIOS,
    OPEN,
    PI_CONTRACT,
    RATE_ONE,
    REDUCE_ONLY,
    SCENARIO_LOTS,
    SELL,
)

PARAMS = ("other", "entry", "scale", "leverage", "headroom", "child_lots", "slippage")
OTHER, ENTRY, SCALE, LEVERAGE, HEADROOM, CHILD_LOTS, SLIPPAGE = range(7)
FLOATS = ("opinion",)
OPINION = 0


@kernel()
def pair_margin(state, contract, other, ratio):
    """Initial margin, in minor units, of one lot of ``contract`` against ``ratio`` lots of ``other`` the other way.

    Under a scenario rule the legs offset; under rates they add up.
    """
    scenarios = state.meta[M_SCENARIOS]
    if scenarios == 0:
        own = state.rate_initial[contract] / np.float64(RATE_ONE) * value_of_lot(state, contract)
        return own + ratio * (state.rate_initial[other] / np.float64(RATE_ONE) * value_of_lot(state, other))
    row = values.newest_row(state)
    worst = 0.0
    for scenario in range(scenarios):
        profit = state.scenario_pnl[row, contract, scenario] - ratio * state.scenario_pnl[row, other, scenario]
        worst = max(worst, abs(profit) * (state.scenario_weight[scenario] / np.float64(RATE_ONE)))
    return worst / SCENARIO_LOTS * (state.initial_factor[0] / np.float64(RATE_ONE))


@kernel()
def _trade(state, account, contract, lots, slippage):
    """Send signed lots near the mark, reduce-only where they only reduce."""
    if lots == 0:
        return
    held = state.positions[account, contract].lots
    flags = REDUCE_ONLY if lots * held < 0 and abs(lots) <= abs(held) else 0
    side = np.int64(BUY if lots > 0 else SELL)
    take_limit(state, account, contract, lots, limit_near_mark(state, contract, side, slippage), flags, 0)


@kernel(DECIDE)
def decide(state, population):
    """Move waking rows towards their spread positions in small children of both legs. No draws."""
    low, high = wake_range(state, population)
    if low == high:
        return
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    other = np.int64(parameters[OTHER])
    child, slippage = np.int64(parameters[CHILD_LOTS]), parameters[SLIPPAGE]
    own_value, other_value = value_of_lot(state, contract), value_of_lot(state, other)
    if own_value <= 0.0 or other_value <= 0.0:
        return
    ratio = own_value / other_value
    margin = pair_margin(state, contract, other, ratio)
    price_ratio = ln(np.float64(state.quotes[contract].mid)) - ln(np.float64(state.quotes[other].mid))
    excess = price_ratio - (ln(value_now(state, contract)) - ln(value_now(state, other)))
    other_child = np.int64(np.floor(child * ratio)) + 1
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        status = state.accounts[account].status
        if status == CLOSED:
            continue
        held = state.positions[account, contract].lots
        held_other = state.positions[account, other].lots
        deviation = excess - state.trader_floats[account, OPINION]
        target = np.int64(0)
        if status == OPEN and abs(deviation) > parameters[ENTRY]:
            money = np.float64(max(ledger.equity(state, account), np.int64(0)))
            most = parameters[LEVERAGE] * money / (own_value + ratio * other_value)
            if margin > 0.0:
                most = min(most, parameters[HEADROOM] * money / margin)
            target = np.int64(np.floor(0.5 - most * clipped(deviation / parameters[SCALE], 1.0)))
        if abs(held * ratio + held_other) > 2.0 * other_child:
            # one leg ran ahead, as when orders of the other were refused: bring the first leg back to it
            target = np.int64(np.floor(0.5 - held_other / ratio))
        lots = clipped(target - held, child)
        target_other = np.int64(np.floor(0.5 - (held + lots) * ratio))
        _trade(state, account, contract, lots, slippage)
        _trade(state, account, other, clipped(target_other - held_other, other_child), slippage)
