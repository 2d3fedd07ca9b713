"""Value at risk and expected shortfall of all accounts over many scenarios, by selection of the largest losses."""

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
from sim.kernels.realmath import exp
from sim.kernels.wide import mul_rate


@kernel()
def scenario_returns(returns, span, decay, root):
    """Returns over the margin period, rescaled to the newest volatility where ``decay`` is above zero.

    Args:
        returns: float64[W + span - 1, C], one sample each, oldest first.
        span: samples that are added up.
        decay: of the exponentially weighted variance, 0: as they are. The recursion starts at the mean square.
        root: factor on the sums, such as the square root of further samples.

    Returns:
        float64[W, C].
    """
    samples, contracts = returns.shape
    scaled = returns.copy()
    if decay > 0.0:
        variance = np.empty(samples)
        for c in range(contracts):
            current = 0.0
            for i in range(samples):
                current += returns[i, c] * returns[i, c]
            current /= samples
            for i in range(samples):
                variance[i] = current
                current = decay * current + (1.0 - decay) * returns[i, c] * returns[i, c]
            for i in range(samples):
                if variance[i] > 0.0:
                    scaled[i, c] = returns[i, c] * np.sqrt(current / variance[i])
    found = np.zeros((samples - span + 1, contracts))
    for i in range(found.shape[0]):
        for c in range(contracts):
            for j in range(span):
                found[i, c] += scaled[i + j, c]
            found[i, c] *= root
    return found


@kernel()
def moves_of_returns(price, returns):
    """Price changes that log returns make, ``price x (exp(return) - 1)``, float64[C, S] from float64[S, C]."""
    scenarios, contracts = returns.shape
    found = np.empty((contracts, scenarios))
    for c in range(contracts):
        for s in range(scenarios):
            found[c, s] = price[c] * (exp(returns[s, c]) - 1.0)
    return found


@kernel()
def _insert(largest, loss):
    """Put a loss among the largest ones (sorted, largest first) where it is one of them."""
    last = len(largest) - 1
    if loss <= largest[last]:
        return
    while last > 0 and largest[last - 1] < loss:
        largest[last] = largest[last - 1]
        last -= 1
    largest[last] = loss


@kernel()
def _weighted(largest, weight, floor):
    """Weighted sum of the largest losses, each product rounded up, at least ``floor``; fine units."""
    total = np.int64(0)
    for j in range(len(weight)):
        if weight[j] != 0:
            total += mul_rate(np.int64(largest[j]), weight[j])
    return max(total, floor)


@kernel()
def _risk(lots, buy, sell, account, ordered, column, profit, drawn, weight, loss, largest):
    """Risk of one account in 64-bit integers, fine units. Mutates the scratch arrays ``loss`` [S], ``largest`` [K]."""
    sum_losses(lots, buy, sell, account, ordered, column, 0, len(column), profit, loss)
    largest[:] = np.iinfo(np.int64).min
    for s in range(drawn):
        _insert(largest, loss[s])
    floor = np.int64(0)
    for s in range(drawn, len(loss)):
        floor = max(floor, loss[s])
    return _weighted(largest, weight, floor)


@kernel()
def tail(lots, buy, sell, loss_buy, loss_sell, conversion, column, lanes, profit, drawn, weight, factor, heaviest):
    """Requirements of all accounts: a weighted sum of the largest losses, at least the loss in floor scenarios.

    Args:
        lots: int64[A, C].
        buy: int64[A, C], lots of open buy orders.
        sell: int64[A, C].
        loss_buy: int64[A, C], own loss of open orders, minor units of the settlement currency.
        loss_sell: int64[A, C].
        conversion: int64[C], account currency per settlement currency, 2**-32.
        column: int64[C], contract of row k.
        lanes: float64[C, S], profit of 2**10 lots, minor units of the account currency.
        profit: int64[C, S], the same.
        drawn: scenarios that are ranked; the others are floors.
        weight: int64[K], weights of the K largest losses, 2**-32, summing to one.
        factor: initial over maintenance, 2**-32.
        heaviest: float64[C], bound on anything of a lot of row k that is added up.

    Returns:
        Initial and maintenance, int64[A] minor units, and int64[A]: 1 where the account is too large for 64 bits.
    """
    accounts, scenarios = lots.shape[0], lanes.shape[1]
    initial, maintenance = np.empty(accounts, np.int64), np.empty(accounts, np.int64)
    left = np.zeros(accounts, np.int64)
    loss, largest, real = np.empty(scenarios, np.int64), np.empty(len(weight), np.int64), np.empty(len(weight))
    held, bound, total = np.empty((len(column), BLOCK)), np.empty(BLOCK), np.empty((scenarios, BLOCK))
    for begin in range(0, accounts, BLOCK):
        load_block(lots, begin, column, heaviest, held, bound)
        block_profits(held, 0, len(column), lanes, total)
        for a in range(begin, min(begin + BLOCK, accounts)):
            i = a - begin
            ordered = has_orders(buy, sell, a)
            if not ordered and bound[i] <= EXACT_FLOAT:
                real[:] = -np.inf
                for s in range(drawn):
                    _insert(real, -total[s, i])
                floor = 0.0
                for s in range(drawn, scenarios):
                    floor = max(floor, -total[s, i])
                maintenance[a] = in_minor(_weighted(real, weight, np.int64(floor)))
                initial[a] = mul_rate(maintenance[a], factor)
                continue
            if size_of(lots, buy, sell, a, column, heaviest) > EXACT_INTEGER:
                left[a] = 1
                continue
            maintenance[a] = in_minor(_risk(lots, buy, sell, a, False, column, profit, drawn, weight, loss, largest))
            found = in_minor(_risk(lots, buy, sell, a, True, column, profit, drawn, weight, loss, largest))
            initial[a] = mul_rate(found, factor)
            if ordered:
                initial[a] += own_loss(loss_buy, loss_sell, a, conversion)
    return initial, maintenance, left
