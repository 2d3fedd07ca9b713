"""Compiled evaluators of rate rules for all accounts at once, over plain arrays: one pass over the positions.

They give the numbers of the market's own evaluators (:mod:`margin.kernels.requirement`) and of the readable definitions
(:mod:`margin.netting`) to the unit. Arrays of open orders may have no rows when nobody has an open order.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.charges import by_schedule, short_option
from sim.kernels.jit import kernel
from sim.kernels.schedule import FLAT, S_KIND, S_TIERS, T_FLOOR, TIERS, scheduled, tier_charge
from sim.kernels.state import INITIAL, MAINTENANCE, RATE_ONE
from sim.kernels.wide import mul_div_floor, mul_rate

_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_S4 = np.uint64(4)
# columns of ``options``, int64[C, OPTION_COLUMNS]; no rows where there are none
(
    O_SIDE,  # CALL, PUT, 0: no option
    O_REFERENCE,  # contract that prices the underlying
    O_PRICE,  # of the underlying, in the units of the strike
    O_STRIKE,
    O_PAYOFF,
    O_DIVISOR,
    O_COIN,  # 1: premium and pay-off in coin
    O_TICK_VALUE,  # of the reference contract
    O_INVERSE,  # 1: the reference contract is an inverse one
) = range(9)
OPTION_COLUMNS = 9
_FLOORS = 12  # room for the floors of thirteen tiers, in whole vectors


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
def _charge(lots, c, which, per_lot, mark, inverse, rates, tables, options):
    """Charge of a position of signed lots in contract c, settlement currency (:mod:`sim.kernels.charges`)."""
    size = abs(lots)
    if options.shape[0] == 0 or options[c, O_SIDE] == 0:
        return by_schedule(tables, c, which, size, notional(size, per_lot[c], mark[c], inverse[c]), rates[which, c])
    if lots >= 0:
        return notional(size, per_lot[c], mark[c], False)
    terms = options[c]
    reference = terms[O_REFERENCE]
    return short_option(
        tables, reference, which, rates[which, c], mark[reference], terms[O_TICK_VALUE], terms[O_INVERSE] != 0,
        size, terms[O_SIDE], terms[O_PRICE], terms[O_STRIKE], terms[O_PAYOFF], terms[O_DIVISOR], terms[O_COIN] != 0,
    )  # fmt: skip


@kernel()
def _flat_positions(lots, per_lot, rates, initial, maintenance):
    """Charges of positions at flat rates, linear contracts, one currency: no branch, so that it runs in vectors.

    ``ceil(value x rate / 2**32)`` from the halves of the value; every intermediate result fits 64 bits unsigned, the
    largest being (2**32 - 1) x 2**32 + 2**32 - 1. Mutates ``initial`` and ``maintenance``.
    """
    sixteenths = per_lot.astype(np.uint64)
    factors = rates.astype(np.uint64)
    for a in range(lots.shape[0]):
        first, second = np.uint64(0), np.uint64(0)
        for c in range(lots.shape[1]):
            value = (np.uint64(abs(lots[a, c])) * sixteenths[c]) >> _S4
            high, low = value >> _S32, value & _LOW32
            first += high * factors[0, c] + ((low * factors[0, c] + _LOW32) >> _S32)
            second += high * factors[1, c] + ((low * factors[1, c] + _LOW32) >> _S32)
        initial[a] = np.int64(first)
        maintenance[a] = np.int64(second)


@kernel()
def _floors_of(tables):
    """Floors of every tier but the first in rows of their own, int64[C, F]; none reaches what pads them."""
    floors = np.full((tables.shape[0], _FLOORS), np.iinfo(np.int64).max)
    for c in range(tables.shape[0]):
        if tables[c, 0, S_KIND] == TIERS:
            for row in range(2, tables[c, 0, S_TIERS] + 1):
                floors[c, row - 2] = tables[c, row, T_FLOOR]
    return floors


@kernel()
def _tiered_positions(lots, per_lot, tables, initial, maintenance):
    """Charges of positions in tiers, linear contracts, one currency. Mutates ``initial`` and ``maintenance``."""
    floors = _floors_of(tables)
    for a in range(lots.shape[0]):
        first, second = np.int64(0), np.int64(0)
        for c in range(lots.shape[1]):
            if lots[a, c] == 0:
                continue
            value = (abs(lots[a, c]) * per_lot[c]) >> 4
            # a fixed number of comparisons runs in vectors
            tier = np.int64(1)
            for row in range(_FLOORS):
                tier += np.int64(value > floors[c, row])
            first += tier_charge(tables, c, tier, INITIAL, value)
            second += tier_charge(tables, c, tier, MAINTENANCE, value)
        initial[a] = first
        maintenance[a] = second


@kernel()
def _positions(lots, per_lot, mark, inverse, price, rates, tables, options, initial, maintenance):
    """Charges of positions under any schedule (see :func:`cross`). Mutates ``initial`` and ``maintenance``."""
    for a in range(lots.shape[0]):
        first, second = np.int64(0), np.int64(0)
        for c in range(lots.shape[1]):
            if lots[a, c] == 0:
                continue
            charge = _charge(lots[a, c], c, INITIAL, per_lot, mark, inverse, rates, tables, options)
            keep = _charge(lots[a, c], c, MAINTENANCE, per_lot, mark, inverse, rates, tables, options)
            if price[c] != RATE_ONE:
                charge, keep = mul_rate(charge, price[c]), mul_rate(keep, price[c])
            first += charge
            second += keep
        initial[a] = first
        maintenance[a] = second


@kernel()
def cross(lots, open_buy, open_sell, loss_buy, loss_sell, per_lot, mark, inverse, price, rates, tables, options):
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
        options: int64[C, OPTION_COLUMNS], or no rows where there are none.

    Returns:
        Initial margin, the part of it that open orders add, and maintenance, int64[A] each, minor units.
    """
    accounts, contracts = lots.shape
    initial = np.empty(accounts, np.int64)
    maintenance = np.empty(accounts, np.int64)
    resting = np.zeros(accounts, np.int64)
    flat = tiered = options.shape[0] == 0
    for c in range(contracts):
        plain = not inverse[c] and price[c] == RATE_ONE
        flat = flat and plain and tables[c, 0, S_KIND] == FLAT
        tiered = tiered and plain and tables[c, 0, S_KIND] == TIERS and tables[c, 0, S_TIERS] <= _FLOORS + 1
    if flat:
        _flat_positions(lots, per_lot, rates, initial, maintenance)
    elif tiered:
        _tiered_positions(lots, per_lot, tables, initial, maintenance)
    else:
        _positions(lots, per_lot, mark, inverse, price, rates, tables, options, initial, maintenance)
    if open_buy.shape[0] != accounts:
        return initial, resting, maintenance
    for a in range(accounts):
        added = np.int64(0)
        for c in range(contracts):
            bids, asks = open_buy[a, c], open_sell[a, c]
            if bids == 0 and asks == 0:
                continue
            held = lots[a, c]
            charge = _charge(held, c, INITIAL, per_lot, mark, inverse, rates, tables, options)
            bought = _charge(held + bids, c, INITIAL, per_lot, mark, inverse, rates, tables, options) + loss_buy[a, c]
            sold = _charge(held - asks, c, INITIAL, per_lot, mark, inverse, rates, tables, options) + loss_sell[a, c]
            added += mul_rate(max(bought, sold), price[c]) - mul_rate(charge, price[c])
        resting[a] = added
        initial[a] += added
    return initial, resting, maintenance


@kernel()
def _opening(side, held, ordered, loss, c, per_lot, mark, inverse, rates, tables, options):
    """Reserve of one side's open orders beyond what they can close; ``held`` is negative where they close."""
    opening = ordered - min(ordered, max(-held, np.int64(0)))
    if opening == 0:
        return np.int64(0)
    own = loss if opening == ordered else -mul_div_floor(-loss, opening, ordered)
    if options.shape[0] != 0 and options[c, O_SIDE] != 0:
        if side > 0:  # paid in full
            return notional(opening, per_lot[c], mark[c], False) + own
        standing = min(-held, np.int64(0))
        after = _charge(standing - opening, c, INITIAL, per_lot, mark, inverse, rates, tables, options)
        before = _charge(standing, c, INITIAL, per_lot, mark, inverse, rates, tables, options)
        return max(after - before, np.int64(0)) + own
    value = notional(opening, per_lot[c], mark[c], inverse[c])
    if tables[c, 0, S_KIND] == FLAT:
        return mul_rate(value, rates[0, c]) + own
    before = max(held, np.int64(0))
    standing = notional(before, per_lot[c], mark[c], inverse[c])
    after = scheduled(tables, c, INITIAL, before + opening, standing + value)
    return max(after - scheduled(tables, c, INITIAL, before, standing), np.int64(0)) + own


@kernel()
def isolated(lots, open_buy, open_sell, loss_buy, loss_sell, per_lot, mark, inverse, price, rates, tables, options):
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
                keep = _charge(held, c, MAINTENANCE, per_lot, mark, inverse, rates, tables, options)
                maintenance[a, c] = mul_rate(keep, price[c])
            if ordered and (open_buy[a, c] != 0 or open_sell[a, c] != 0):
                bought = _opening(
                    1, held, open_buy[a, c], loss_buy[a, c], c, per_lot, mark, inverse, rates, tables, options
                )
                sold = _opening(
                    -1, -held, open_sell[a, c], loss_sell[a, c], c, per_lot, mark, inverse, rates, tables, options
                )
                reserve[a, c] = mul_rate(max(bought, sold), price[c])
    return reserve, maintenance
