"""Liquidators: standing offers for positions that must go, and their unwinding through the book."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import clipped, limit_near_mark, take_limit, value_of_lot
from sim.kernels import ledger
from sim.kernels.jit import kernel
from sim.kernels.messages import push_bid, wake_range
from sim.kernels.state import (
    BUY,
    CAUSE_LIQUIDATOR,
    DECIDE,
    OPEN,
    PI_CONTRACT,
    PI_COUNT,
    PI_FIRST,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
)

PARAMS = (
    "discount", "discount_per_sigma", "discount_at_limit", "discount_most", "inventory_lots", "bid_lots",
    "unwind_lots", "leverage", "headroom", "slippage",
)  # fmt: skip
DISCOUNT, DISCOUNT_PER_SIGMA, DISCOUNT_AT_LIMIT, DISCOUNT_MOST, INVENTORY_LOTS, BID_LOTS, UNWIND_LOTS = range(7)
LEVERAGE, HEADROOM, SLIPPAGE = range(7, 10)


@kernel()
def capacity_of(state, account, contract, parameters):
    """Largest position that inventory limit, leverage and initial margin allow an account, lots."""
    lot_value = value_of_lot(state, contract)
    money = ledger.equity(state, account)
    if money <= 0 or lot_value <= 0.0:
        return np.int64(0)
    leverage = parameters[LEVERAGE]
    rate = state.rate_initial[contract]
    if rate > 0:
        leverage = min(leverage, parameters[HEADROOM] * RATE_ONE / rate)
    return min(np.int64(leverage * money / lot_value), np.int64(parameters[INVENTORY_LOTS]))


@kernel()
def _offer(state, account, contract, parameters, side, capacity, base):
    """Leave an offer for positions of one side: less when full, dearer as inventory grows. Mutates ``bids``."""
    stock = side * state.positions[account, contract].lots
    lots = min(np.int64(parameters[BID_LOTS]), capacity - stock)
    if lots > 0:
        load = max(stock, np.int64(0)) / parameters[INVENTORY_LOTS]
        discount = min(base + parameters[DISCOUNT_AT_LIMIT] * load, parameters[DISCOUNT_MOST])
        push_bid(state, account, contract, side, lots, np.int64(discount * RATE_ONE + 0.5))


@kernel(DECIDE)
def decide(state, population):
    """Renew every row's offers; waking rows unwind a child order of their inventory. No draws."""
    first = state.pop_ints[population, PI_FIRST]
    count = state.pop_ints[population, PI_COUNT]
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    sigma = np.sqrt(state.quotes[contract].variance_fast)
    base = parameters[DISCOUNT] + parameters[DISCOUNT_PER_SIGMA] * sigma
    for account in range(first, first + count):
        if state.accounts[account].status == OPEN:
            capacity = capacity_of(state, account, contract, parameters)
            _offer(state, account, contract, parameters, np.int64(BUY), capacity, base)
            _offer(state, account, contract, parameters, np.int64(SELL), capacity, base)
    low, high = wake_range(state, population)
    for k in range(low, high):
        account = np.int64(state.wake_rows[k])
        lots = -clipped(state.positions[account, contract].lots, np.int64(parameters[UNWIND_LOTS]))
        if lots != 0:
            side = np.int64(BUY if lots > 0 else SELL)
            price = limit_near_mark(state, contract, side, parameters[SLIPPAGE])
            take_limit(state, account, contract, lots, price, REDUCE_ONLY, CAUSE_LIQUIDATOR)
