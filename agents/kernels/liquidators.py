"""Liquidators: standing offers for positions that must go, their costs in the race, and unwinding what they took."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import clipped, limit_near_mark, send, take_limit, value_of_lot
from sim.kernels import ledger
from sim.kernels.jit import kernel
from sim.kernels.messages import push_bid, wake_range
from sim.kernels.state import (
    BUY,
    CAUSE_LIQUIDATOR,
    DECIDE,
    GTC,
    M_STEP,
    NEW,
    OPEN,
    PI_CONTRACT,
    PI_COUNT,
    PI_FIRST,
    PI_PERIOD,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
)

PARAMS = (
    "discount", "discount_per_sigma", "discount_at_limit", "discount_most", "inventory_lots", "bid_lots",
    "unwind_lots", "leverage", "headroom", "slippage", "gas", "fee_share", "fee_most", "least_profit", "revert_share",
    "stop_loss", "unwind", "patience",
)  # fmt: skip
DISCOUNT, DISCOUNT_PER_SIGMA, DISCOUNT_AT_LIMIT, DISCOUNT_MOST, INVENTORY_LOTS, BID_LOTS, UNWIND_LOTS = range(7)
LEVERAGE, HEADROOM, SLIPPAGE, GAS, FEE_SHARE, FEE_MOST, LEAST_PROFIT, REVERT_SHARE = range(7, 15)
STOP_LOSS, UNWIND, PATIENCE = range(15, 18)
BOOK, HOLD, PATIENT = 0, 1, 2  # ways of unwinding

FLOATS = ("peak",)  # highest equity so far, minor units; kept where there is a stop-loss
PEAK = 0
INTS = ("latency", "stopped")  # steps until an account can be reached; 1: has lost too much to go on
LATENCY, STOPPED = 0, 1


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
def _has_stopped(state, account, parameters):
    """True for good once equity has fallen by the stop-loss from its peak. Mutates the row's columns."""
    if parameters[STOP_LOSS] >= 1.0:
        return False
    money = np.float64(ledger.equity(state, account))
    if money > state.trader_floats[account, PEAK]:
        state.trader_floats[account, PEAK] = money
    if money < state.trader_floats[account, PEAK] * (1.0 - parameters[STOP_LOSS]):
        state.trader_ints[account, STOPPED] = 1
    return state.trader_ints[account, STOPPED] != 0


@kernel()
def _offer(state, account, contract, parameters, side, capacity, base):
    """Leave an offer for positions of one side: less when full, dearer as inventory grows. Mutates ``bids``."""
    stock = side * state.positions[account, contract].lots
    lots = min(np.int64(parameters[BID_LOTS]), capacity - stock)
    if lots > 0:
        load = max(stock, np.int64(0)) / parameters[INVENTORY_LOTS]
        discount = min(base + parameters[DISCOUNT_AT_LIMIT] * load, parameters[DISCOUNT_MOST])
        gas = parameters[GAS]
        push_bid(
            state, account, contract, side, lots, np.int64(discount * RATE_ONE + 0.5),
            np.int64(parameters[FEE_MOST]), np.int64(gas), np.int64(state.trader_ints[account, LATENCY]),
            np.int64(parameters[FEE_SHARE] * RATE_ONE + 0.5), np.int64(parameters[LEAST_PROFIT]),
            np.int64(gas * parameters[REVERT_SHARE]),
        )  # fmt: skip


@kernel()
def _unwind(state, account, contract, parameters, period):
    """One child order of the inventory: immediate near the mark, or resting on the far side of it for a period."""
    lots = -clipped(state.positions[account, contract].lots, np.int64(parameters[UNWIND_LOTS]))
    way = np.int64(parameters[UNWIND])
    if lots == 0 or way == HOLD:
        return
    side = np.int64(BUY if lots > 0 else SELL)
    if way == BOOK:
        price = limit_near_mark(state, contract, side, parameters[SLIPPAGE])
        take_limit(state, account, contract, lots, price, REDUCE_ONLY, CAUSE_LIQUIDATOR)
        return
    # a seller asks above the mark: the price that a buyer would accept so far behind it, and the other way round
    price = limit_near_mark(state, contract, -side, parameters[PATIENCE])
    expiry = state.meta[M_STEP] + max(period, np.int64(1))
    send(state, account, contract, NEW, side, GTC, REDUCE_ONLY, price, abs(lots), expiry, CAUSE_LIQUIDATOR)


@kernel(DECIDE)
def decide(state, population):
    """Renew every row's offers; waking rows unwind a child order of their inventory. No draws."""
    first = state.pop_ints[population, PI_FIRST]
    count = state.pop_ints[population, PI_COUNT]
    contract = state.pop_ints[population, PI_CONTRACT]
    period = state.pop_ints[population, PI_PERIOD]
    parameters = state.pop_params[population]
    sigma = np.sqrt(state.quotes[contract].variance_fast)
    base = parameters[DISCOUNT] + parameters[DISCOUNT_PER_SIGMA] * sigma
    for account in range(first, first + count):
        if state.accounts[account].status == OPEN and not _has_stopped(state, account, parameters):
            capacity = capacity_of(state, account, contract, parameters)
            _offer(state, account, contract, parameters, np.int64(BUY), capacity, base)
            _offer(state, account, contract, parameters, np.int64(SELL), capacity, base)
    low, high = wake_range(state, population)
    for k in range(low, high):
        _unwind(state, np.int64(state.wake_rows[k]), contract, parameters, period)
