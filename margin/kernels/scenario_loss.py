"""Profits of many accounts in every scenario, exactly: the sum that every portfolio rule takes.

Profits are whole minor units per 2**10 lots, so ``lots x profit`` is a whole number of 2**-10 minor units, *fine* units
here; nothing is rounded before the end. Where every product and partial sum is a whole number below 2**53 it is
exact in float64, which the processor adds several at a time (64 accounts at once, side by side in memory); above that
the same sum is taken account by account in 64-bit integers, and what would not fit those is left to the caller.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.wide import mul_rate

BLOCK = 64  # accounts side by side
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
def size_of(lots, buy, sell, account, column, heaviest):
    """Upper bound on what an account's positions and open orders can add up to, float64."""
    bound = 0.0
    for k in range(len(column)):
        c = column[k]
        held = abs(np.float64(lots[account, c])) + np.float64(buy[account, c]) + np.float64(sell[account, c])
        bound += held * heaviest[k]
    return bound


@kernel()
def load_block(lots, first, column, heaviest, held, bound):
    """Lay the positions of up to ``BLOCK`` accounts side by side.

    Args:
        lots: int64[A, C].
        first: first account.
        column: int64[C], the contract of each row.
        heaviest: float64[C], bound on anything of one lot that is added up.
        held: float64[C, BLOCK], written; zero beyond the last account.
        bound: float64[BLOCK], written: bound on each account's sums.
    """
    count = min(BLOCK, lots.shape[0] - first)
    for i in range(BLOCK):
        bound[i] = 0.0
    if count < BLOCK:
        held[:] = 0.0
    for i in range(count):
        row = lots[first + i]
        for k in range(len(column)):
            held[k, i] = np.float64(row[column[k]])
    for k in range(len(column)):
        weight = heaviest[k]
        for i in range(BLOCK):
            bound[i] += abs(held[k, i]) * weight


@kernel()
def block_profits(held, first, last, lanes, total):
    """Scenario profits of some contracts for a block of accounts.

    Args:
        held: float64[C, BLOCK].
        first: first row.
        last: one past the last row.
        lanes: float64[C, S], profit per 2**10 lots.
        total: float64[S, BLOCK], written, fine units.
    """
    for s in range(lanes.shape[1]):
        for i in range(BLOCK):
            total[s, i] = 0.0
        for k in range(first, last):
            profit = lanes[k, s]
            if profit != 0.0:
                for i in range(BLOCK):
                    total[s, i] += held[k, i] * profit


@kernel()
def sum_losses(lots, buy, sell, account, ordered, column, first, last, profit, loss):
    """Losses of some contracts of one account in 64-bit integers; open orders count where they would lose.

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
