"""Compiled evaluators of rate rules for all accounts at once, over plain arrays: one pass over the positions.

They give the numbers of the market's own evaluators (:mod:`margin.kernels.requirement`) and of the readable definitions
(:mod:`margin.netting`) to the unit. Arrays of open orders may have no rows when nobody has an open order.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.schedule import FLAT, S_KIND, scheduled
from sim.kernels.state import INITIAL, MAINTENANCE, RATE_ONE
from sim.kernels.wide import mul_div_floor, mul_rate


@kernel()
def notional(lots, per_lot, mark, inverse):
    """Value at mark of lots >= 0, minor units of the settlement currency.

    ``per_lot`` is mark x tick value for linear contracts (rounded down from 1/16), 16 x tick value for inverse ones
    (rounded to nearest).
    """
    if inverse:
        whole = mul_div_floor(lots, per_lot, mark)
        return whole + (1 if 2 * (lots * per_lot - whole * mark) >= mark else 0)
    return (lots * per_lot) >> 4


@kernel()
def _charged(tables, contract, which, lots, value, rate):
    """Charge of one position: the contract's schedule, or where it is flat the rate times value."""
    if tables[contract, 0, S_KIND] == FLAT:
        return mul_rate(value, rate)
    return scheduled(tables, contract, which, lots, value)


@kernel()
def cross(lots, open_buy, open_sell, loss_buy, loss_sell, per_lot, mark, inverse, price, rates, tables):
    """One pocket, each contract at its own rate or schedule.

    Args:
        lots: int64[A, C].
        open_buy: int64[A, C] or int64[0, C].
        open_sell: likewise.
        loss_buy: likewise.
        loss_sell: likewise.
        per_lot: int64[C], see :func:`notional`.
        mark: int64[C], sub-ticks.
        inverse: bool[C].
        price: int64[C], minor units of the account currency per minor unit of the settlement currency, 2**-32.
        rates: int64[2, C], initial and maintenance, 2**-32.
        tables: int64[C, rows, SCHEDULE_COLUMNS].

    Returns:
        Initial margin, the part of it that open orders add, and maintenance, int64[A] each, minor units.
    """
    accounts, contracts = lots.shape
    initial = np.zeros(accounts, np.int64)
    resting = np.zeros(accounts, np.int64)
    maintenance = np.zeros(accounts, np.int64)
    ordered = open_buy.shape[0] == accounts
    for a in range(accounts):
        total = np.int64(0)
        kept = np.int64(0)
        orders = np.int64(0)
        for c in range(contracts):
            held = lots[a, c]
            bids = open_buy[a, c] if ordered else np.int64(0)
            asks = open_sell[a, c] if ordered else np.int64(0)
            charge = np.int64(0)
            if held != 0:
                value = notional(abs(held), per_lot[c], mark[c], inverse[c])
                charge = _charged(tables, c, INITIAL, abs(held), value, rates[0, c])
                keep = _charged(tables, c, MAINTENANCE, abs(held), value, rates[1, c])
                kept += keep if price[c] == RATE_ONE else mul_rate(keep, price[c])
                if price[c] != RATE_ONE:
                    charge = mul_rate(charge, price[c])
            total += charge
            if bids == 0 and asks == 0:
                continue
            size = abs(held + bids)
            bought = _charged(tables, c, INITIAL, size, notional(size, per_lot[c], mark[c], inverse[c]), rates[0, c])
            size = abs(held - asks)
            sold = _charged(tables, c, INITIAL, size, notional(size, per_lot[c], mark[c], inverse[c]), rates[0, c])
            worse = max(bought + loss_buy[a, c], sold + loss_sell[a, c])
            orders += mul_rate(worse, price[c]) - charge
        initial[a] = total + orders
        resting[a] = orders
        maintenance[a] = kept
    return initial, resting, maintenance


@kernel()
def _opening(held, ordered, loss, c, per_lot, mark, inverse, rates, tables):
    """Reserve of one side's open orders beyond what they can close; ``held`` is negative where they close."""
    opening = ordered - min(ordered, max(-held, np.int64(0)))
    if opening == 0:
        return np.int64(0)
    own = loss if opening == ordered else -mul_div_floor(-loss, opening, ordered)
    value = notional(opening, per_lot[c], mark[c], inverse[c])
    if tables[c, 0, S_KIND] == FLAT:
        return mul_rate(value, rates[0, c]) + own
    before = max(held, np.int64(0))
    standing = notional(before, per_lot[c], mark[c], inverse[c])
    after = scheduled(tables, c, INITIAL, before + opening, standing + value)
    return max(after - scheduled(tables, c, INITIAL, before, standing), np.int64(0)) + own


@kernel()
def isolated(lots, open_buy, open_sell, loss_buy, loss_sell, per_lot, mark, inverse, price, rates, tables):
    """One pocket per position (arguments as for :func:`cross`).

    Returns:
        Reserve of open orders and maintenance of the position, int64[A, C] each, minor units.
    """
    accounts, contracts = lots.shape
    reserve = np.zeros((accounts, contracts), np.int64)
    maintenance = np.zeros((accounts, contracts), np.int64)
    ordered = open_buy.shape[0] == accounts
    for a in range(accounts):
        for c in range(contracts):
            held = lots[a, c]
            if held != 0:
                value = notional(abs(held), per_lot[c], mark[c], inverse[c])
                keep = _charged(tables, c, MAINTENANCE, abs(held), value, rates[1, c])
                maintenance[a, c] = mul_rate(keep, price[c])
            if ordered and (open_buy[a, c] != 0 or open_sell[a, c] != 0):
                bought = _opening(held, open_buy[a, c], loss_buy[a, c], c, per_lot, mark, inverse, rates, tables)
                sold = _opening(-held, open_sell[a, c], loss_sell[a, c], c, per_lot, mark, inverse, rates, tables)
                reserve[a, c] = mul_rate(max(bought, sold), price[c])
    return reserve, maintenance
