"""Adversaries: they read where others will be liquidated, push the price there, and buy back from the forced flow."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import limit_near_mark, send, take_limit
from sim.kernels import ledger, values
from sim.kernels.depth import depth_within
from sim.kernels.jit import kernel
from sim.kernels.messages import wake_range
from sim.kernels.state import (
    BUY,
    CAUSE_ADVERSARY,
    CLOSED,
    DECIDE,
    GTC,
    M_CONTRACTS,
    M_STEP,
    NEW,
    OPEN,
    PI_CONTRACT,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
    SUBTICKS,
)

PARAMS = (
    "levels", "width", "threshold", "least_lots", "budget_lots", "push_lots", "cover_lots", "slippage", "catch",
    "patience", "rest", "fee", "sides",
)  # fmt: skip
LEVELS, WIDTH, THRESHOLD, LEAST_LOTS, BUDGET_LOTS, PUSH_LOTS, COVER_LOTS, SLIPPAGE, CATCH = range(9)
PATIENCE, REST, FEE, SIDES = range(9, 13)

FLOATS = ("before", "profit")  # equity at the start of the attack; gains of the attacks that are over, minor units
BEFORE, PROFIT = 0, 1
INTS = ("phase", "side", "target", "until", "attacks", "seen")
PHASE, SIDE, TARGET, UNTIL, ATTACKS, SEEN = range(6)
LOOKING, PUSHING, COVERING = 0, 1, 2


@kernel()
def level_of(state, contract, side, row, width):
    """How far from the mark, in widths, positions of a bucket of bankruptcy prices are liquidated; negative: already.

    Longs bankrupt at B are under maintenance m below ``B / (1 - m)``, shorts above ``B / (1 + m)`` (inverse contracts:
    ``B (1 + m)`` and ``B (1 - m)``); of a bucket the middle price counts.

    Args:
        state: the market.
        contract: contract index.
        side: of the push: SELL looks at longs below the mark, BUY at shorts above it.
        row: bucket of the side.
        width: of a level, fraction of the mark.
    """
    mark = state.quotes[contract].mark / np.float64(SUBTICKS)
    rate = min(state.rate_maintenance[values.maintenance_row(state), contract] / np.float64(RATE_ONE), 0.99)
    scale = state.bucket_scale[contract]
    price = np.float64((np.int64(row) << scale) + ((np.int64(1) << scale) >> 1))
    inverse = values.is_inverse(state, contract)
    if side < 0:
        ruin = price * (1.0 + rate) if inverse else price / (1.0 - rate)
        distance = 1.0 - ruin / mark
    else:
        ruin = price * (1.0 - rate) if inverse else price / (1.0 + rate)
        distance = ruin / mark - 1.0
    return np.int64(np.floor(distance / width))


@kernel()
def forced_flow(state, account, contract, side, width, out):
    """Others' lots that are liquidated in each level from the mark on, written to ``out``.

    Reads the index of bankruptcy prices, in which accounts with one position stand: the public map.
    """
    contracts = state.meta[M_CONTRACTS]
    size = state.bucket_heads.shape[2]
    half = 0 if side < 0 else 1
    row = np.int64(min(state.quotes[contract].index_top, size - 1) if side < 0 else state.quotes[contract].index_low)
    while 0 <= row < size:
        node = np.int64(state.bucket_heads[contract, half, row])
        level = level_of(state, contract, side, row, width)
        if level >= out.shape[0]:
            break
        while node >= 0:
            if level >= 0 and node // contracts != account:
                out[level] += abs(state.positions[node // contracts, contract].lots)
            node = np.int64(state.positions[node // contracts, contract].bucket_next)
        row += side


@kernel()
def edge_of(state, contract, side, level, width):
    """Price in ticks at the far end of a level."""
    return limit_near_mark(state, contract, side, (level + 1) * width)


@kernel()
def nearest_cluster(state, account, contract, side, parameters):
    """Nearest level at which all that is liquidated on the way outweighs the depth on the way, -1 if there is none.

    Returns:
        The level, and the lots liquidated up to it.
    """
    width = parameters[WIDTH]
    flow = np.zeros(np.int64(parameters[LEVELS]), np.int64)
    forced_flow(state, account, contract, side, width, flow)
    best = state.quotes[contract].bid if side < 0 else state.quotes[contract].ask
    total = np.int64(0)
    for level in range(flow.shape[0]):
        total += flow[level]
        edge = edge_of(state, contract, side, level, width)
        depth = np.int64(0)
        if best > 0:
            depth = depth_within(state, contract, min(edge, best), max(edge, best)) if side * (edge - best) >= 0 else 0
        if depth > parameters[BUDGET_LOTS]:
            break
        if total >= parameters[LEAST_LOTS] and total >= parameters[THRESHOLD] * max(depth, 1):
            return np.int64(level), total
    return np.int64(-1), np.int64(0)


@kernel()
def _choose(state, account, contract, parameters):
    """Side to push to and the target in ticks; side 0 for nothing worth an attack."""
    down, up = np.int64(-1), np.int64(-1)
    down_lots, up_lots = np.int64(0), np.int64(0)
    if parameters[SIDES] <= 0.0:
        down, down_lots = nearest_cluster(state, account, contract, np.int64(SELL), parameters)
    if parameters[SIDES] >= 0.0:
        up, up_lots = nearest_cluster(state, account, contract, np.int64(BUY), parameters)
    width = parameters[WIDTH]
    if down >= 0 and (up < 0 or down < up or (down == up and down_lots >= up_lots)):
        return np.int64(SELL), edge_of(state, contract, np.int64(SELL), down, width)
    if up >= 0:
        return np.int64(BUY), edge_of(state, contract, np.int64(BUY), up, width)
    return np.int64(0), np.int64(0)


@kernel()
def _moved(state, contract, price, side, fraction):
    """A price in ticks moved by a fraction towards ``side``, inside the contract's prices."""
    shifted = np.int64(np.floor(price * (1.0 + side * fraction) + 0.5))
    return min(max(shifted, np.int64(1)), state.contracts[contract].max_price)


@kernel()
def _rest_order(state, account, contract, side, price, lots):
    """A reduce-only order that rests for this step alone."""
    expiry = state.meta[M_STEP] + 1
    send(state, account, contract, NEW, side, GTC, REDUCE_ONLY, price, lots, expiry, CAUSE_ADVERSARY)


@kernel()
def _push(state, account, contract, parameters, side):
    """One child order of the push, and a resting order beyond the target that catches what is forced out there."""
    target = state.trader_ints[account, TARGET]
    pushed = side * state.positions[account, contract].lots
    lots = min(np.int64(parameters[PUSH_LOTS]), np.int64(parameters[BUDGET_LOTS]) - pushed)
    limit = _moved(state, contract, target, side, parameters[SLIPPAGE])
    take_limit(state, account, contract, side * lots, limit, np.int64(0), CAUSE_ADVERSARY)
    if pushed > 0:
        _rest_order(state, account, contract, -side, _moved(state, contract, limit, side, parameters[CATCH]), pushed)


@kernel()
def _cover(state, account, contract, parameters, flowing):
    """Buy back: from the forced flow while it runs, then in child orders near the mark."""
    lots = -state.positions[account, contract].lots
    side = np.int64(BUY if lots > 0 else SELL)
    child = np.int64(0)
    if not flowing:
        child = min(np.int64(parameters[COVER_LOTS]), abs(lots))
        price = limit_near_mark(state, contract, side, parameters[SLIPPAGE])
        take_limit(state, account, contract, side * child, price, REDUCE_ONLY, CAUSE_ADVERSARY)
    if abs(lots) > child:
        price = limit_near_mark(state, contract, -side, parameters[CATCH])
        _rest_order(state, account, contract, side, price, abs(lots) - child)


@kernel()
def _act(state, account, contract, parameters):
    """One adversary's turn: look for a cluster, push towards it, or cover. Mutates its columns, messages."""
    row = state.trader_ints[account]
    step = state.meta[M_STEP]
    lots = state.positions[account, contract].lots
    seen = row[SEEN]
    row[SEEN] = state.quotes[contract].liquidated
    if row[PHASE] == LOOKING:
        if lots != 0:
            row[PHASE] = COVERING
            row[UNTIL] = step
        elif step < row[UNTIL] or state.accounts[account].status != OPEN:
            return
        else:
            side, target = _choose(state, account, contract, parameters)
            if side == 0:
                row[UNTIL] = step + np.int64(parameters[REST])
                return
            row[PHASE] = PUSHING
            row[SIDE] = side
            row[TARGET] = target
            row[UNTIL] = step + np.int64(parameters[PATIENCE])
            row[ATTACKS] += 1
            state.trader_floats[account, BEFORE] = np.float64(ledger.equity(state, account))
    state.accounts[account].priority_fee = np.int64(parameters[FEE])
    if row[PHASE] == PUSHING:
        side = row[SIDE]
        there = side * (state.quotes[contract].mark - row[TARGET] * SUBTICKS) >= 0
        spent = side * lots >= np.int64(parameters[BUDGET_LOTS]) or state.accounts[account].status != OPEN
        if not there and not spent and step < row[UNTIL]:
            _push(state, account, contract, parameters, side)
            return
        row[PHASE] = COVERING
        row[UNTIL] = step + np.int64(parameters[PATIENCE])
    if lots != 0:
        flowing = state.quotes[contract].liquidated > seen and step < row[UNTIL]
        _cover(state, account, contract, parameters, flowing)
        return
    state.trader_floats[account, PROFIT] += ledger.equity(state, account) - state.trader_floats[account, BEFORE]
    row[PHASE] = LOOKING
    row[UNTIL] = step + np.int64(parameters[REST])


@kernel(DECIDE)
def decide(state, population):
    """Every waking row that still trades takes its turn. No draws."""
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    low, high = wake_range(state, population)
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        if state.accounts[account].status != CLOSED:
            _act(state, account, contract, parameters)
