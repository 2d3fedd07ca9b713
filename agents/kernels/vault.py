"""A backstop vault: quotes around the mark that lean against its inventory, and takes when it holds too much."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import band_limits, limit_near_mark, send, take_limit, value_of_lot
from sim.kernels import ledger
from sim.kernels.funding import expired
from sim.kernels.jit import kernel
from sim.kernels.messages import wake_range
from sim.kernels.state import (
    BUY,
    CANCEL_ALL,
    CAUSE_VAULT,
    CLOSED,
    DECIDE,
    GTC,
    M_CONTRACTS,
    NEW,
    PI_FIRST,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    SPOT,
    SUBTICKS,
)

PARAMS = (
    "levels", "level_ticks", "quote_lots", "make_lots", "half_spread_ticks", "spread_per_sigma", "inventory_lots",
    "skew", "leverage", "take_above", "take_lots", "slippage",
)  # fmt: skip
LEVELS, LEVEL_TICKS, QUOTE_LOTS, MAKE_LOTS, HALF_SPREAD_TICKS, SPREAD_PER_SIGMA, INVENTORY_LOTS = range(7)
SKEW, LEVERAGE, TAKE_ABOVE, TAKE_LOTS, SLIPPAGE = range(7, 12)


@kernel()
def _quote_side(state, account, contract, parameters, side, nearest, lots, room, flags):
    """Rest up to ``room`` lots on one side, level by level outwards from a price in ticks, inside the band."""
    low, high = band_limits(state, contract)
    for level in range(np.int64(parameters[LEVELS])):
        price = nearest - side * level * np.int64(parameters[LEVEL_TICKS])
        part = min(lots, room)
        if part <= 0 or price < low or price > high:
            return
        send(state, account, contract, NEW, side, POST_ONLY, flags, price, part, 0, CAUSE_VAULT)
        room -= part


@kernel()
def _work(state, account, contract, parameters, money):
    """Quote one contract, and take what inventory exceeds the limit."""
    inventory = state.positions[account, contract].lots
    mark = state.quotes[contract].mark / np.float64(SUBTICKS)
    fast = state.quotes[contract].variance_fast
    half_spread = parameters[HALF_SPREAD_TICKS] + parameters[SPREAD_PER_SIGMA] * np.sqrt(fast) * mark
    load = min(max(inventory / parameters[INVENTORY_LOTS], -1.0), 1.0)
    centre = mark - parameters[SKEW] * half_spread * load
    bid = np.int64(np.floor(centre - half_spread))
    ask = -np.int64(np.floor(-centre - half_spread))
    best_bid, best_ask = state.quotes[contract].bid, state.quotes[contract].ask
    if best_ask > 0:  # where the market has left the mark behind, it joins the market
        bid = min(bid, best_ask - 1)
    if best_bid > 0:
        ask = max(ask, best_bid + 1)
    taken = np.int64(0)
    above = abs(inventory) - np.int64(parameters[TAKE_ABOVE])
    if above > 0:
        taken = min(above, np.int64(parameters[TAKE_LOTS]))
    if taken > 0:
        side = np.int64(SELL if inventory > 0 else BUY)
        price = limit_near_mark(state, contract, side, parameters[SLIPPAGE])
        take_limit(state, account, contract, side * taken, price, REDUCE_ONLY, CAUSE_VAULT)
    lot_value = value_of_lot(state, contract)
    most = np.int64(parameters[INVENTORY_LOTS])
    if lot_value > 0.0:
        most = min(most, np.int64(max(parameters[LEVERAGE] * money, 0.0) / lot_value))
    for side in (np.int64(BUY), np.int64(SELL)):
        nearest = bid if side == BUY else ask
        if side * inventory < 0:
            lots, room = np.int64(parameters[QUOTE_LOTS]), abs(inventory) - taken
            _quote_side(state, account, contract, parameters, side, nearest, lots, room, np.int64(REDUCE_ONLY))
        else:
            lots, room = np.int64(parameters[MAKE_LOTS]), most - abs(inventory)
            _quote_side(state, account, contract, parameters, side, nearest, lots, room, np.int64(0))


@kernel(DECIDE)
def decide(state, population):
    """Renew the vault's quotes in every contract that it holds. No draws."""
    low, high = wake_range(state, population)
    account = state.pop_ints[population, PI_FIRST]
    if low == high or state.accounts[account].status == CLOSED:
        return
    parameters = state.pop_params[population]
    if state.accounts[account].orders > 0:
        send(state, account, np.int64(-1), CANCEL_ALL, 0, GTC, 0, 0, 0, 0, CAUSE_VAULT)
    money = np.float64(ledger.equity(state, account))
    for contract in range(state.meta[M_CONTRACTS]):
        held = state.positions[account, contract].lots != 0
        if held and state.contracts[contract].kind != SPOT and not expired(state, contract):
            _work(state, account, contract, parameters, money)
