"""Profit of one account in every scenario, exactly: the sum that every portfolio rule takes.

Profits are whole minor units per 2**10 lots, so ``lots x profit`` is a whole number of 2**-10 minor units, called *fine*
units here; nothing is rounded before the end. Where every product and partial sum is a whole number below 2**53 it is
exact in float64, whose lanes the processor adds four at a time; above that the same sum is taken in 64-bit integers, and
what would not fit those is left to the caller (Python integers).
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.wide import mul_rate

FLOAT_LANES, INTEGER_LANES, TOO_LARGE = 0, 1, 2
EXACT_FLOAT = 2.0**52  # half of 2**53: the bound itself is summed in rounded float64
EXACT_INTEGER = 2.0**60


@kernel()
def has_orders(buy, sell, account):
    """True when the account has open orders in any contract."""
    found = np.int64(0)
    for c in range(buy.shape[1]):
        found |= buy[account, c] | sell[account, c]
    return found != 0


@kernel()
def size_of(lots, buy, sell, account, ordered, column, first, last, largest):
    """Upper bound on any scenario's profit or loss of some contracts, fine units, float64."""
    bound = 0.0
    for k in range(first, last):
        c = column[k]
        held = abs(np.float64(lots[account, c]))
        if ordered:
            held += np.float64(buy[account, c]) + np.float64(sell[account, c])
        bound += held * largest[k]
    return bound


@kernel()
def sum_profits(lots, account, column, first, last, lanes, largest, total):
    """Add up the scenario profits of some contracts in float64 lanes.

    Args:
        lots: int64[A, C].
        account: row.
        column: int64[C], the contract of each row of ``lanes``.
        first: first row of ``lanes``.
        last: one past the last.
        lanes: float64[C, S], profit per 2**10 lots.
        largest: float64[C], largest size of each row.
        total: float64[S], written.

    Returns:
        An upper bound on the size of every partial sum: where it is at most ``EXACT_FLOAT``, ``total`` is exact.
    """
    scenarios = lanes.shape[1]
    for s in range(scenarios):
        total[s] = 0.0
    bound = 0.0
    for k in range(first, last):
        held = lots[account, column[k]]
        if held != 0:
            q = np.float64(held)
            bound += abs(q) * largest[k]
            for s in range(scenarios):
                total[s] += q * lanes[k, s]
    return bound


@kernel()
def sum_losses(lots, buy, sell, account, ordered, column, first, last, profit, loss):
    """Losses of some contracts per scenario in 64-bit integers; open orders count where they would lose.

    Args:
        lots: int64[A, C].
        buy: int64[A, C], lots of open buy orders.
        sell: int64[A, C].
        account: row.
        ordered: count open orders.
        column: int64[C], the contract of each row of ``profit``.
        first: first row of ``profit``.
        last: one past the last.
        profit: int64[C, S], per 2**10 lots.
        loss: int64[S], written, fine units.
    """
    scenarios = profit.shape[1]
    for s in range(scenarios):
        loss[s] = 0
    for k in range(first, last):
        c = column[k]
        held = lots[account, c]
        bought = buy[account, c] if ordered else 0
        sold = sell[account, c] if ordered else 0
        if held == 0 and bought == 0 and sold == 0:
            continue
        for s in range(scenarios):
            gain = profit[k, s]
            loss[s] += bought * max(-gain, 0) + sold * max(gain, 0) - held * gain


@kernel()
def own_loss(loss_buy, loss_sell, account, conversion):
    """Open orders' own loss against the mark, minor units of the account currency.

    Args:
        loss_buy: int64[A, C], minor units of each contract's settlement currency.
        loss_sell: int64[A, C].
        account: row.
        conversion: int64[C], 2**-32.
    """
    total = np.int64(0)
    for c in range(loss_buy.shape[1]):
        total += mul_rate(loss_buy[account, c] + loss_sell[account, c], conversion[c])
    return total


@kernel()
def in_minor(fine):
    """Fine units as minor units, rounded up."""
    return -((-fine) >> 10)
