"""Compiled evaluators of venues' portfolio margins: all accounts at once, integers only, in a fixed order.

Amounts are minor units of the account currency. What one lot gains in a scenario stands per 2**10 lots; gains are
rounded down and charges up, contract by contract. Open orders count only where they would lose. The rules that call
these give the readable definition of each, with the same numbers to the unit.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.wide import mul_rate, mul_shift_floor

TEN = 10  # profits stand per 2**10 lots


@kernel()
def _up(lots, amount):
    """``ceil(lots x amount / 2**10)``."""
    return -mul_shift_floor(-lots, amount, TEN)


@kernel()
def _held(lots, buys, sells, ordered):
    """Largest absolute position that open orders could lead to."""
    return max(abs(lots + buys), abs(lots - sells)) if ordered else abs(lots)


@kernel()
def _narrow(profit):
    """Lots of each contract up to which their product with every profit fits 62 bits, int64[C]."""
    limit = np.empty(profit.shape[0], np.int64)
    for c in range(profit.shape[0]):
        largest = np.int64(1)
        for s in range(profit.shape[1]):
            largest = max(largest, abs(profit[c, s]))
        limit[c] = (np.int64(1) << 62) // largest
    return limit


@kernel()
def _take(lots, limit, profit, out):
    """Subtract from each scenario what a position gains in it, rounded down."""
    if abs(lots) <= limit:
        for s in range(len(out)):
            out[s] -= (lots * profit[s]) >> TEN
    else:
        for s in range(len(out)):
            out[s] -= mul_shift_floor(lots, profit[s], TEN)


@kernel()
def _any(buys, sells):
    """Whether an account has open orders."""
    for c in range(len(buys)):
        if buys[c] != 0 or sells[c] != 0:
            return True
    return False


@kernel()
def scenario_losses(lots, buys, sells, ordered, coins, profit, limit, group, shock, loss):
    """Loss of one account in every scenario, by group of contracts that may offset.

    Args:
        lots: int64[C], signed.
        buys: int64[C], lots of open buy orders.
        sells: int64[C], lots of open sell orders.
        ordered: whether open orders count.
        coins: int64[U], coin balances, valued at the present price.
        profit: int64[C, S], per 2**10 lots.
        limit: int64[C], lots whose product with every profit fits 62 bits.
        group: int64[C], row of ``loss``.
        shock: int64[S], relative move of a coin, 2**-32.
        loss: int64[U, S], mutated: the answer.
    """
    loss[:] = 0
    for c in range(len(lots)):
        g = group[c]
        if lots[c] != 0:
            _take(lots[c], limit[c], profit[c], loss[g])
        if ordered and (buys[c] != 0 or sells[c] != 0):
            for s in range(profit.shape[1]):
                if profit[c, s] < 0:
                    loss[g, s] += _up(buys[c], -profit[c, s])
                else:
                    loss[g, s] += _up(sells[c], profit[c, s])
    for g in range(len(coins)):
        if coins[g] != 0:
            for s in range(len(shock)):
                loss[g, s] -= mul_shift_floor(coins[g], shock[s], 32)


@kernel()
def short_options(lots, sells, ordered, charge, strike, net):
    """Charge for options that are short net per strike: calls and puts of one strike and expiry offset.

    Args:
        lots: int64[C], signed.
        sells: int64[C], lots of open sell orders.
        ordered: whether open orders count.
        charge: int64[C], per 2**10 lots.
        strike: int64[C], number of the strike and expiry, -1 for none.
        net: int64[K], scratch.
    """
    net[:] = 0
    for c in range(len(lots)):
        if strike[c] >= 0:
            net[strike[c]] += mul_shift_floor(lots[c] - (sells[c] if ordered else 0), charge[c], TEN)
    total = np.int64(0)
    for k in range(len(net)):
        total += max(-net[k], 0)
    return total


@kernel()
def gross_charge(lots, buys, sells, ordered, charge):
    """Charge on the size of every position: ``sum |lots| x charge``, per 2**10 lots."""
    total = np.int64(0)
    for c in range(len(lots)):
        if charge[c] != 0:
            total += _up(_held(lots[c], buys[c], sells[c], ordered), charge[c])
    return total


@kernel()
def _worst(loss, weight, first, last):
    """Largest weighted loss of the scenarios from ``first`` up to ``last``, at least zero."""
    worst = np.int64(0)
    for s in range(first, last):
        if loss[s] > 0:
            worst = max(worst, mul_rate(loss[s], weight[s]))
    return worst


@kernel()
def grid_margin(
    lots, buys, sells, own, coins, profit, group, shock, weight, size_charge, short_charge, strike, strikes, factor,
    initial, maintenance,
):  # fmt: skip
    """Worst cell of a grid, plus contingencies on gross futures and on net short options (:mod:`margin.deribit_pm`).

    Args:
        lots: int64[A, C], signed.
        buys: int64[A, C], lots of open buy orders.
        sells: int64[A, C], lots of open sell orders.
        own: int64[A], loss of open orders against the mark.
        coins: int64[A, U], coin balances valued at the present price.
        profit: int64[C, S], per 2**10 lots.
        group: int64[C], underlying.
        shock: int64[S], relative move of a coin, 2**-32.
        weight: int64[S], part of the loss that counts, 2**-32.
        size_charge: int64[C], per 2**10 lots, long or short.
        short_charge: int64[C], per 2**10 lots that are short net per strike.
        strike: int64[C], number of the strike and expiry, -1 for none.
        strikes: number of strikes.
        factor: initial over maintenance, 2**-32.
        initial: int64[A], mutated: the answer.
        maintenance: int64[A], mutated: the answer.
    """
    loss = np.empty((coins.shape[1], profit.shape[1]), np.int64)
    net = np.empty(strikes, np.int64)
    limit = _narrow(profit)
    for a in range(len(lots)):
        total = np.int64(0)
        for ordered in range(1 + _any(buys[a], sells[a])):
            scenario_losses(lots[a], buys[a], sells[a], ordered, coins[a], profit, limit, group, shock, loss)
            total = np.int64(0)
            for g in range(len(loss)):
                total += _worst(loss[g], weight, 0, profit.shape[1])
            total += gross_charge(lots[a], buys[a], sells[a], ordered, size_charge)
            total += short_options(lots[a], sells[a], ordered, short_charge, strike, net)
            if not ordered:
                maintenance[a] = total
        initial[a] = mul_rate(total, factor) + own[a]


@kernel()
def _discounted(value, rate):
    """A positive value is discounted, a negative one is not; rounded down."""
    return mul_shift_floor(value, rate, 32) if value > 0 else value


@kernel()
def _option_orders(buys, sells, value, rate, basis, loss):
    """Add the loss of option orders on their own, scenario by scenario; returns that under the two basis moves."""
    last = len(value) - 3
    bought = _up(buys, value[last])
    sold = mul_shift_floor(sells, value[last], TEN)
    for s in range(last):
        loss[s] += max(bought - _discounted(mul_shift_floor(buys, value[s], TEN), rate), 0)
        loss[s] += max(_up(sells, value[s]) - sold, 0)
    moved = np.int64(0)
    for s in range(last + 1, last + 3):
        fall = max(bought - mul_shift_floor(buys, value[s], TEN), 0) + max(_up(sells, value[s]) - sold, 0)
        moved = max(moved, fall)
    return mul_rate(moved, basis)


@kernel()
def expiry_losses(
    lots, buys, sells, ordered, coins, value, limit, group, expiry, expiry_group, discount, basis, shock, mark, loss,
    charge,
):  # fmt: skip
    """Scenario losses with a discount on each expiry's positive value, and the basis contingency.

    Args:
        lots: int64[C], signed.
        buys: int64[C], lots of open buy orders.
        sells: int64[C], lots of open sell orders.
        ordered: whether open orders count.
        coins: int64[U], coin balances, valued at the present price.
        value: int64[C, S + 3], per 2**10 lots: of options their values in every scenario, now, and under the two basis
            moves; of other contracts their profits.
        limit: int64[C], lots whose product with every value fits 62 bits.
        group: int64[C], underlying.
        expiry: int64[C], number of the expiry of an option, -1 for other contracts.
        expiry_group: int64[E], underlying of each expiry.
        discount: int64[E], factor of a positive value, 2**-32.
        basis: int64[E], part of the loss under the basis moves that counts, 2**-32.
        shock: int64[S], relative move of a coin, 2**-32.
        mark: int64[E, S + 3], scratch.
        loss: int64[U, S], mutated: the answer.
        charge: int64[U], mutated: the basis contingency.
    """
    scenarios = loss.shape[1]
    loss[:] = 0
    charge[:] = 0
    mark[:] = 0
    for c in range(len(lots)):
        if lots[c] != 0:
            if expiry[c] >= 0:
                _take(lots[c], limit[c], value[c], mark[expiry[c]])
            else:
                _take(lots[c], limit[c], value[c, :scenarios], loss[group[c]])
    for e in range(len(mark)):
        owed = mark[e, scenarios]  # what the expiry's options are worth, with the other sign
        for s in range(scenarios):
            loss[expiry_group[e], s] += -owed - _discounted(-mark[e, s], discount[e])
        fall = max(mark[e, scenarios + 1] - owed, mark[e, scenarios + 2] - owed, 0)
        charge[expiry_group[e]] += mul_rate(fall, basis[e])
    for g in range(len(coins)):
        if coins[g] != 0:
            for s in range(scenarios):
                loss[g, s] -= mul_shift_floor(coins[g], shock[s], 32)
    if not ordered:
        return
    for c in range(len(lots)):
        if buys[c] == 0 and sells[c] == 0:
            continue
        e = expiry[c]
        if e >= 0:
            charge[group[c]] += _option_orders(buys[c], sells[c], value[c], discount[e], basis[e], loss[group[c]])
        else:
            for s in range(scenarios):
                loss[group[c], s] += _up(buys[c], max(-value[c, s], 0)) + _up(sells[c], max(value[c, s], 0))


@kernel()
def confidence_charge(lots, buys, sells, ordered, coins, size, rate, coin_rate, group, expiry, expiries):
    """What low oracle confidence adds to initial margin: the size of each group of positions times its worst rate.

    Options form a group per expiry; perpetuals, futures and spot form one per underlying, coin balances included.

    Args:
        lots: int64[C], signed.
        buys: int64[C], lots of open buy orders.
        sells: int64[C], lots of open sell orders.
        ordered: whether open orders count.
        coins: int64[U], coin balances, valued at the present price.
        size: int64[C], value of the underlying, per 2**10 lots.
        rate: int64[C], 2**-32.
        coin_rate: rate of a coin balance, 2**-32.
        group: int64[C], underlying.
        expiry: int64[C], number of the expiry of an option, -1 for other contracts.
        expiries: number of expiries.
    """
    total = np.int64(0)
    if rate.max() == 0 and coin_rate == 0:
        return total
    for k in range(expiries + len(coins)):
        amount = np.int64(0)
        worst = np.int64(0)
        if k >= expiries and coins[k - expiries] > 0:
            amount = coins[k - expiries]
            worst = coin_rate
        for c in range(len(lots)):
            member = expiry[c] == k if k < expiries else (expiry[c] < 0 and group[c] == k - expiries)
            if member:
                held = _held(lots[c], buys[c], sells[c], ordered)
                if held != 0:
                    amount += _up(held, size[c])
                    worst = max(worst, rate[c])
        total += mul_rate(amount, worst)
    return total


@kernel()
def expiry_margin(
    lots, buys, sells, own, coins, value, group, expiry, expiry_group, discount, basis, shock, size_charge, coin_charge,
    short_charge, strike, strikes, size, rate, coin_rate, factor, initial, maintenance,
):  # fmt: skip
    """Worst of the scenarios and the basis contingency, plus static contingencies (:mod:`margin.derive_pm`).

    Args as in :func:`expiry_losses`, :func:`grid_margin` and :func:`confidence_charge`, for all accounts;
    ``coin_charge`` is the part of a coin balance that its static contingency takes, 2**-32.
    """
    scenarios = len(shock)
    loss = np.empty((coins.shape[1], scenarios), np.int64)
    charge = np.empty(coins.shape[1], np.int64)
    mark = np.empty((len(discount), scenarios + 3), np.int64)
    net = np.empty(strikes, np.int64)
    one = np.full(scenarios, np.int64(1) << 32)
    limit = _narrow(value)
    for a in range(len(lots)):
        orders = _any(buys[a], sells[a])
        total = np.int64(0)
        for ordered in range(1 + orders):
            expiry_losses(
                lots[a], buys[a], sells[a], ordered, coins[a], value, limit, group, expiry, expiry_group, discount,
                basis, shock, mark, loss, charge,
            )  # fmt: skip
            total = np.int64(0)
            for g in range(len(loss)):
                total += max(_worst(loss[g], one, 0, scenarios), charge[g])
                total += mul_rate(max(coins[a, g], 0), coin_charge)
            total += gross_charge(lots[a], buys[a], sells[a], ordered, size_charge)
            total += short_options(lots[a], sells[a], ordered, short_charge, strike, net)
            if not ordered:
                maintenance[a] = total
        extra = confidence_charge(
            lots[a], buys[a], sells[a], orders, coins[a], size, rate, coin_rate, group, expiry, len(discount)
        )
        initial[a] = mul_rate(total, factor) + extra + own[a]


@kernel()
def tiered(amount, floor, multiplier):
    """Each part of an amount times the multiplier of the tier that it lies in, rounded up per tier.

    Args:
        amount: minor units, at least zero.
        floor: int64[T], where each tier begins, rising from zero.
        multiplier: int64[T], 2**-32.
    """
    total = np.int64(0)
    for t in range(len(floor)):
        top = amount if t + 1 == len(floor) else min(amount, floor[t + 1])
        if top > floor[t]:
            total += mul_rate(top - floor[t], multiplier[t])
    return total


@kernel()
def vega_spread(lots, buys, sells, ordered, profit, group, expiry, expiry_group, spread, long, short):
    """Vega that is long in some expiries and short in others: the smaller of the two, per underlying.

    Args:
        lots: int64[C], signed.
        buys: int64[C], lots of open buy orders.
        sells: int64[C], lots of open sell orders.
        ordered: whether open orders count.
        profit: int64[C], under the volatility move, per 2**10 lots.
        group: int64[C], underlying.
        expiry: int64[C], number of the expiry of an option, -1 for other contracts.
        expiry_group: int64[E], underlying of each expiry.
        spread: int64[E], scratch.
        long: int64[U], scratch.
        short: int64[U], mutated: the answer.
    """
    spread[:] = 0
    long[:] = 0
    short[:] = 0
    for c in range(len(lots)):
        if expiry[c] >= 0:
            spread[expiry[c]] += mul_shift_floor(lots[c], profit[c], TEN)
            if ordered:
                long[group[c]] += _up(buys[c], max(profit[c], 0)) + _up(sells[c], max(-profit[c], 0))
                short[group[c]] += _up(sells[c], max(profit[c], 0)) + _up(buys[c], max(-profit[c], 0))
    for e in range(len(spread)):
        long[expiry_group[e]] += max(spread[e], 0)
        short[expiry_group[e]] += max(-spread[e], 0)
    for g in range(len(long)):
        short[g] = min(long[g], short[g])


@kernel()
def stage_margin(
    lots, buys, sells, own, coins, profit, group, expiry, expiry_group, shock, weight, spots, extremes, vega_weight,
    long_charge, short_charge, floor, multiplier, factor, initial, maintenance,
):  # fmt: skip
    """``max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7)`` per underlying (:mod:`margin.okx_pm`).

    Args as in :func:`grid_margin` and :func:`vega_spread`; ``long_charge`` and ``short_charge`` are raw minimum charges
    per 2**10 lots. The columns of ``profit`` are ``spots`` spot shocks,
    ``extremes`` extreme moves, one of time, two of the basis, two of the interest rate, one of volatility.
    """
    loss = np.empty((coins.shape[1], profit.shape[1]), np.int64)
    long = np.empty(coins.shape[1], np.int64)
    vega = np.empty(coins.shape[1], np.int64)
    spread = np.empty(len(expiry_group), np.int64)
    least = np.empty(coins.shape[1], np.int64)
    t = spots + extremes
    moved = np.ascontiguousarray(profit[:, t + 5])
    limit = _narrow(profit)
    for a in range(len(lots)):
        total = np.int64(0)
        for ordered in range(1 + _any(buys[a], sells[a])):
            scenario_losses(lots[a], buys[a], sells[a], ordered, coins[a], profit, limit, group, shock, loss)
            vega_spread(
                lots[a], buys[a], sells[a], ordered, moved, group, expiry, expiry_group, spread, long, vega
            )  # fmt: skip
            least[:] = 0
            for c in range(lots.shape[1]):
                most = max(lots[a, c] + (buys[a, c] if ordered else 0), 0)
                fewest = max((sells[a, c] if ordered else 0) - lots[a, c], 0)
                least[group[c]] += max(_up(most, long_charge[c]), _up(fewest, short_charge[c]))
            total = np.int64(0)
            for g in range(len(loss)):
                worst = _worst(loss[g], weight, 0, t + 1)  # spot shocks, extreme moves and time: the largest of three
                worst += mul_rate(vega[g], vega_weight)
                worst += _worst(loss[g], weight, t + 1, t + 3)
                worst += _worst(loss[g], weight, t + 3, t + 5)
                total += max(worst, tiered(least[g], floor, multiplier))
            if not ordered:
                maintenance[a] = total
        initial[a] = mul_rate(total, factor) + own[a]
