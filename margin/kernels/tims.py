"""TIMS requirements of all accounts: greatest loss per product group after permitted offsets, in integers."""

from __future__ import annotations

import numpy as np

from margin.kernels.scenario_loss import (
    BLOCK,
    EXACT_FLOAT,
    EXACT_INTEGER,
    block_profits,
    has_orders,
    in_minor,
    load_block,
    own_loss,
    size_of,
    sum_losses,
)
from sim.kernels.jit import kernel
from sim.kernels.state import RATE_ONE
from sim.kernels.wide import mul_rate, mul_shift_floor


@kernel()
def _risk(lots, buy, sell, account, ordered, column, class_start, product_start, profit, offset, minimum, loss, netted):
    """Risk of one account in 64-bit integers, fine units. Mutates the scratch arrays ``loss`` and ``netted`` [S]."""
    risk = np.int64(0)
    for p in range(len(product_start) - 1):
        netted[:] = 0
        least = np.int64(0)
        for g in range(product_start[p], product_start[p + 1]):
            first, last = class_start[g], class_start[g + 1]
            sum_losses(lots, buy, sell, account, ordered, column, first, last, profit, loss)
            for s in range(len(loss)):
                netted[s] += loss[s] if loss[s] >= 0 else -mul_shift_floor(-loss[s], offset[p], 32)
            for k in range(first, last):
                c = column[k]
                held = abs(lots[account, c])
                if ordered:
                    held = max(abs(lots[account, c] + buy[account, c]), abs(lots[account, c] - sell[account, c]))
                least += held * minimum[k]
        risk += max(np.max(netted), least)
    return risk


@kernel()
def _block_risk(held, class_start, product_start, lanes, offset, minimum, total, netted, least, risk):
    """Risk of a block of accounts, ``risk`` [BLOCK] fine units: what :func:`_risk` says of positions.

    Mutates the scratch arrays ``total`` and ``netted`` [S, BLOCK] and ``least`` [BLOCK].
    """
    for i in range(BLOCK):
        risk[i] = 0.0
    for p in range(len(product_start) - 1):
        netted[:] = 0.0
        least[:] = 0.0
        alone = product_start[p + 1] - product_start[p] == 1
        for g in range(product_start[p], product_start[p + 1]):
            block_profits(held, class_start[g], class_start[g + 1], lanes, total)
            for s in range(lanes.shape[1]):
                if alone or offset[p] == RATE_ONE:
                    for i in range(BLOCK):
                        netted[s, i] -= total[s, i]
                else:
                    for i in range(BLOCK):
                        gain = total[s, i]
                        if gain > 0.0:
                            gain = np.float64(mul_shift_floor(np.int64(gain), offset[p], 32))
                        netted[s, i] -= gain
            for k in range(class_start[g], class_start[g + 1]):
                for i in range(BLOCK):
                    least[i] += abs(held[k, i]) * minimum[k]
        for s in range(lanes.shape[1]):
            for i in range(BLOCK):
                least[i] = max(least[i], netted[s, i])
        for i in range(BLOCK):
            risk[i] += least[i]


@kernel()
def tims(
    lots, buy, sell, loss_buy, loss_sell, conversion, column, class_start, product_start, lanes, profit, offset,
    minimum, factor, heaviest,
):  # fmt: skip
    """Requirements of all accounts: per product group ``max(greatest loss over the valuation points, minimum)``.

    At a point, the losses of the group's classes add up and gains count to the part ``offset``. Rows ``k`` are the
    contracts sorted by product group, then class.

    Args:
        lots: int64[A, C].
        buy: int64[A, C], lots of open buy orders.
        sell: int64[A, C].
        loss_buy: int64[A, C], own loss of open orders, minor units of the settlement currency.
        loss_sell: int64[A, C].
        conversion: int64[C], account currency per settlement currency, 2**-32.
        column: int64[C], contract of row k.
        class_start: int64[G + 1], rows of each class.
        product_start: int64[P + 1], classes of each product group.
        lanes: float64[C, S], profit of 2**10 lots of row k, minor units of the account currency.
        profit: int64[C, S], the same.
        offset: int64[P], 2**-32; one where the group has a single class.
        minimum: int64[C], fine units per lot of row k.
        factor: initial over maintenance, 2**-32.
        heaviest: float64[C], bound on anything of a lot of row k that is added up.

    Returns:
        Initial and maintenance, int64[A] minor units, and int64[A]: 1 where the account is too large for 64 bits.
    """
    accounts, scenarios = lots.shape[0], lanes.shape[1]
    initial, maintenance = np.empty(accounts, np.int64), np.empty(accounts, np.int64)
    left = np.zeros(accounts, np.int64)
    loss, netted = np.empty(scenarios, np.int64), np.empty(scenarios, np.int64)
    held, bound, risk = np.empty((len(column), BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    total, block_netted, least = np.empty((scenarios, BLOCK)), np.empty((scenarios, BLOCK)), np.empty(BLOCK)
    for begin in range(0, accounts, BLOCK):
        load_block(lots, begin, column, heaviest, held, bound)
        _block_risk(held, class_start, product_start, lanes, offset, minimum, total, block_netted, least, risk)
        for a in range(begin, min(begin + BLOCK, accounts)):
            ordered = has_orders(buy, sell, a)
            if not ordered and bound[a - begin] <= EXACT_FLOAT:
                maintenance[a] = in_minor(np.int64(risk[a - begin]))
                initial[a] = mul_rate(maintenance[a], factor)
                continue
            if size_of(lots, buy, sell, a, column, heaviest) > EXACT_INTEGER:
                left[a] = 1
                continue
            for which in range(2):
                found = _risk(
                    lots, buy, sell, a, which == 1, column, class_start, product_start, profit, offset, minimum, loss,
                    netted,
                )  # fmt: skip
                if which == 0:
                    maintenance[a] = in_minor(found)
                else:
                    initial[a] = mul_rate(in_minor(found), factor)
            if ordered:
                initial[a] += own_loss(loss_buy, loss_sell, a, conversion)
    return initial, maintenance, left
