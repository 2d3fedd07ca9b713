"""SPAN requirements of all accounts: scan risk, spread charges and credits, short option minimum, in integers."""

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
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor

DELTA_BITS = 16  # deltas are whole numbers of 2**-16 of a commodity's reference lot
SPREAD_BITS = 16  # spreads are counted in 2**-16
_DELTA_ONE = 2.0**-DELTA_BITS


@kernel()
def charge_of(delta, charge):
    """Charge per reference lot times a size of delta, fine units, rounded up."""
    return -mul_shift_floor(-delta, charge, DELTA_BITS)


@kernel()
def _calendar(tier_delta, first, last, spread_legs, spread_charge):
    """Charges for spreads between the months of a commodity, formed in the order of the table. Mutates the deltas."""
    total = np.int64(0)
    for row in range(first, last):
        near, far = spread_legs[row, 0], spread_legs[row, 1]
        a, b = tier_delta[near], tier_delta[far]
        if (a > 0 and b < 0) or (a < 0 and b > 0):
            size = min(abs(a), abs(b))
            total += charge_of(size, spread_charge[row])
            tier_delta[near] = a - size if a > 0 else a + size
            tier_delta[far] = b - size if b > 0 else b + size
    return total


@kernel()
def _credits(available, net, price, credit_start, leg_group, leg_ratio, credit_rate, credit):
    """Credits for spreads between commodities, by priority.

    Args:
        available: int64[G], net delta that a spread may still use; mutated.
        net: int64[G], net delta of the positions.
        price: int64[G], twice the price risk, fine units.
        credit_start: int64[K + 1], legs of each spread.
        leg_group: int64[L], commodity of each leg.
        leg_ratio: int64[L], signed delta per spread, in units of the commodity's delta.
        credit_rate: int64[K], 2**-32.
        credit: int64[G], written, fine units.
    """
    for g in range(len(credit)):
        credit[g] = 0
    for k in range(len(credit_rate)):
        first, last = credit_start[k], credit_start[k + 1]
        side = 0
        spreads = np.int64(0)
        for leg in range(first, last):
            delta = available[leg_group[leg]]
            sign = 0 if delta == 0 else (1 if (delta > 0) == (leg_ratio[leg] > 0) else -1)
            if sign == 0 or (leg > first and sign != side):
                spreads = np.int64(0)
                break
            number = mul_div_floor(abs(delta), 1 << SPREAD_BITS, abs(leg_ratio[leg]))
            spreads = number if leg == first else min(spreads, number)
            side = sign
        if spreads == 0:
            continue
        for leg in range(first, last):
            g = leg_group[leg]
            used = mul_shift_floor(spreads, abs(leg_ratio[leg]), SPREAD_BITS)
            risk = mul_div_floor(price[g], used, abs(net[g]))
            credit[g] += mul_shift_floor(risk, credit_rate[k], 33)
            available[g] += -used if available[g] > 0 else used


@kernel()
def _scan(lots, buy, sell, account, ordered, column, first, last, profit, loss, partner):
    """Scan risk of a combined commodity and twice its price risk (of positions only), fine units.

    Price risk is the worst scenario's loss averaged with that of the other volatility, less the same average at an
    unchanged price (time and volatility risk).
    """
    sum_losses(lots, buy, sell, account, False, column, first, last, profit, loss)
    most, place = loss[0], 0
    for s in range(1, len(loss)):
        if loss[s] > most:
            most = loss[s]
            place = s
    price = max(most + loss[partner[place]] - loss[0] - loss[1], np.int64(0))
    if ordered:
        sum_losses(lots, buy, sell, account, True, column, first, last, profit, loss)
        most = max(np.max(loss), np.int64(0))
    return max(most, np.int64(0)), price


@kernel()
def _risk(
    lots, buy, sell, account, ordered, column, start, profit, partner, delta, tier, tier_start, spread_start,
    spread_legs, spread_charge, spread_largest, delivery, short_minimum, credit_start, leg_group, leg_ratio,
    credit_rate, loss, tier_delta, groups,
):  # fmt: skip
    """Risk of one account in 64-bit integers, fine units: the sum over combined commodities (see :func:`span`).

    Mutates the scratch arrays ``loss`` [S], ``tier_delta`` [T] and ``groups`` [6, G].
    """
    net, available, price, credit, gross, minimum = groups
    for g in range(len(start) - 1):
        first, last = start[g], start[g + 1]
        scan, price[g] = _scan(lots, buy, sell, account, ordered, column, first, last, profit, loss, partner)
        for t in range(tier_start[g], tier_start[g + 1]):
            tier_delta[t] = 0
        short = np.int64(0)
        rise = np.int64(0)
        fall = np.int64(0)
        extra = np.int64(0)
        for k in range(first, last):
            c = column[k]
            held = lots[account, c]
            sold = np.int64(0)
            if ordered:
                bought, sold = buy[account, c], sell[account, c]
                rise += max(bought * delta[k], -sold * delta[k])
                fall += max(-bought * delta[k], sold * delta[k])
                extra += charge_of((bought + sold) * abs(delta[k]), delivery[tier[k]])
            tier_delta[tier[k]] += held * delta[k]
            short += max(sold - held, 0) * short_minimum[k]
        net[g] = 0
        for t in range(tier_start[g], tier_start[g + 1]):
            net[g] += tier_delta[t]
            extra += charge_of(abs(tier_delta[t]), delivery[t])
        # open orders may leave less delta to set against another commodity, and at most form spreads with all of theirs
        extra += charge_of(rise + fall, spread_largest[g])
        available[g] = max(net[g] - fall, 0) if net[g] > 0 else min(net[g] + rise, 0)
        extra += _calendar(tier_delta, spread_start[g], spread_start[g + 1], spread_legs, spread_charge)
        gross[g] = scan + extra
        minimum[g] = short
    _credits(available, net, price, credit_start, leg_group, leg_ratio, credit_rate, credit)
    risk = np.int64(0)
    for g in range(len(start) - 1):
        risk += max(gross[g] - credit[g], minimum[g])
    return risk


@kernel()
def _block_scan(total, partner, worst, mate):
    """Largest loss per account of a block, at least zero, and twice the price risk. Mutates ``worst`` and ``mate``."""
    for i in range(BLOCK):
        worst[i] = -total[0, i]
        mate[i] = -total[partner[0], i]
    for s in range(1, total.shape[0]):
        pair = partner[s]
        for i in range(BLOCK):
            loss = -total[s, i]
            more = loss > worst[i]
            mate[i] = -total[pair, i] if more else mate[i]
            worst[i] = loss if more else worst[i]
    for i in range(BLOCK):
        price = worst[i] + mate[i] + total[0, i] + total[1, i]
        mate[i] = price if price > 0.0 else 0.0
        worst[i] = worst[i] if worst[i] > 0.0 else 0.0


@kernel()
def _block_calendar(month, first, last, spread_legs, spread_charge, charge):
    """Calendar spreads of a block of accounts: adds to ``charge`` [BLOCK]; mutates the deltas ``month`` [T, BLOCK]."""
    for row in range(first, last):
        near, far = month[spread_legs[row, 0]], month[spread_legs[row, 1]]
        rate = np.float64(spread_charge[row]) * _DELTA_ONE
        for i in range(BLOCK):
            a, b = near[i], far[i]
            size = min(abs(a), abs(b))
            # opposite signs: the near month's, else nothing
            moved = (size if a > 0.0 else -size) if a * b < 0.0 else 0.0
            near[i] = a - moved
            far[i] = b + moved
            charge[i] += np.ceil(abs(moved) * rate)


@kernel()
def _block_deltas(held, first, last, delta, tier, tier_first, tier_last, short_minimum, month, short):
    """Delta by month, ``month`` [T, BLOCK], and short option minimum, ``short`` [BLOCK], of a block of accounts."""
    for t in range(tier_first, tier_last):
        for i in range(BLOCK):
            month[t, i] = 0.0
    for i in range(BLOCK):
        short[i] = 0.0
    for k in range(first, last):
        t, weight = tier[k], np.float64(delta[k])
        for i in range(BLOCK):
            month[t, i] += held[k, i] * weight
        if short_minimum[k] != 0:
            least = np.float64(short_minimum[k])
            for i in range(BLOCK):
                short[i] += least * (-held[k, i] if held[k, i] < 0.0 else 0.0)


@kernel()
def _block_risk(
    held, start, lanes, partner, delta, tier, tier_start, spread_start, spread_legs, spread_charge, delivery,
    short_minimum, credit_start, leg_group, leg_ratio, credit_rate, total, month, work, net, price, gross, minimum,
    groups, risk,
):  # fmt: skip
    """Risk of a block of accounts in float64 lanes, ``risk`` [BLOCK] fine units: what :func:`_risk` says.

    Mutates the scratch arrays ``total`` [S, BLOCK], ``month`` [T, BLOCK], ``work`` [3, BLOCK], ``net``, ``price``,
    ``gross`` and ``minimum`` [G, BLOCK], ``groups`` [6, G].
    """
    worst, short, mate = work
    for i in range(BLOCK):
        risk[i] = 0.0
    spreads = len(credit_rate) > 0
    for g in range(len(start) - 1):
        block_profits(held, start[g], start[g + 1], lanes, total)
        _block_scan(total, partner, worst, mate)
        first, last = tier_start[g], tier_start[g + 1]
        _block_deltas(held, start[g], start[g + 1], delta, tier, first, last, short_minimum, month, short)
        for i in range(BLOCK):
            net[g, i] = 0.0
            price[g, i] = mate[i]
        for t in range(first, last):
            rate = np.float64(delivery[t]) * _DELTA_ONE
            for i in range(BLOCK):
                net[g, i] += month[t, i]
                worst[i] += np.ceil(abs(month[t, i]) * rate)
        _block_calendar(month, spread_start[g], spread_start[g + 1], spread_legs, spread_charge, worst)
        for i in range(BLOCK):
            gross[g, i] = worst[i]
            minimum[g, i] = short[i]
            risk[i] += worst[i] if worst[i] > short[i] else short[i]
    if not spreads:
        return
    one_net, available, one_price, credit = groups[0], groups[1], groups[2], groups[3]
    for i in range(BLOCK):
        for g in range(len(start) - 1):
            one_net[g] = np.int64(net[g, i])
            available[g] = one_net[g]
            one_price[g] = np.int64(price[g, i])
        _credits(available, one_net, one_price, credit_start, leg_group, leg_ratio, credit_rate, credit)
        risk[i] = 0.0
        for g in range(len(start) - 1):
            risk[i] += max(gross[g, i] - np.float64(credit[g]), minimum[g, i])


@kernel()
def lanes_risk(
    lots, column, start, lanes, partner, delta, tier, tier_start, spread_start, spread_legs, spread_charge, delivery,
    short_minimum, credit_start, leg_group, leg_ratio, credit_rate, in_lanes, risk, bound,
):  # fmt: skip
    """Risk of all accounts' positions in float64 lanes, for :func:`span`.

    A kernel of its own: inside a larger one the compiler loses sight of what it may do for several accounts at once.
    Arguments are those of :func:`span`, with ``in_lanes`` float64[C], the bound on anything of a lot that is added up
    when a delta and its charge are multiplied whole. Writes ``risk`` float64[A], fine units, and ``bound`` float64[A]:
    where that is at most ``EXACT_FLOAT`` the risk is exact.
    """
    accounts, scenarios = lots.shape[0], lanes.shape[1]
    count, tiers = len(start) - 1, tier_start[len(start) - 1]
    groups, held = np.zeros((6, count), np.int64), np.empty((len(column), BLOCK))
    total, month, work = np.empty((scenarios, BLOCK)), np.empty((tiers, BLOCK)), np.empty((3, BLOCK))
    net, price, gross, minimum = np.empty((4, count, BLOCK))
    block, size = np.empty(BLOCK), np.empty(BLOCK)
    for begin in range(0, accounts, BLOCK):
        load_block(lots, begin, column, in_lanes, held, size)
        _block_risk(
            held, start, lanes, partner, delta, tier, tier_start, spread_start, spread_legs, spread_charge, delivery,
            short_minimum, credit_start, leg_group, leg_ratio, credit_rate, total, month, work, net, price, gross,
            minimum, groups, block,
        )  # fmt: skip
        for i in range(min(BLOCK, accounts - begin)):
            risk[begin + i] = block[i]
            bound[begin + i] = size[i]


@kernel()
def span(
    lots, buy, sell, loss_buy, loss_sell, conversion, column, start, profit, partner, delta, tier, tier_start,
    spread_start, spread_legs, spread_charge, spread_largest, delivery, short_minimum, credit_start, leg_group,
    leg_ratio, credit_rate, factor, heaviest, risk, bound,
):  # fmt: skip
    """Requirements of all accounts: per combined commodity ``max(scan + spreads + delivery - credit, short minimum)``.

    Rows ``k`` are the contracts sorted by combined commodity g; a commodity's contracts are ``start[g]`` to
    ``start[g + 1]``, its months (tiers) ``tier_start[g]`` to ``tier_start[g + 1]``.

    Args:
        lots: int64[A, C].
        buy: int64[A, C], lots of open buy orders.
        sell: int64[A, C].
        loss_buy: int64[A, C], own loss of open orders, minor units of the settlement currency.
        loss_sell: int64[A, C].
        conversion: int64[C], account currency per settlement currency, 2**-32.
        column: int64[C], contract of row k.
        start: int64[G + 1].
        profit: int64[C, S], profit of 2**10 lots of row k, minor units of the account currency.
        partner: int64[S], the scenario that differs only in the sign of its volatility move.
        delta: int64[C], composite delta of a lot of row k in 2**-16 of the commodity's reference lot.
        tier: int64[C], month of row k.
        tier_start: int64[G + 1].
        spread_start: int64[G + 1], calendar spreads of each commodity.
        spread_legs: int64[N, 2], months, by priority.
        spread_charge: int64[N], fine units per reference lot.
        spread_largest: int64[G], the largest of a commodity's charges.
        delivery: int64[T], fine units per reference lot of net delta in the month.
        short_minimum: int64[C], fine units per short lot of row k.
        credit_start: int64[K + 1], legs of each spread between commodities.
        leg_group: int64[L].
        leg_ratio: int64[L], signed delta per spread.
        credit_rate: int64[K], 2**-32.
        factor: initial over maintenance, 2**-32.
        heaviest: float64[C], bound on anything of a lot of row k that 64-bit integers add up.
        risk: float64[A], of :func:`lanes_risk`.
        bound: float64[A], of :func:`lanes_risk`.

    Returns:
        Initial and maintenance, int64[A] minor units, and int64[A]: 1 where the account is too large for 64 bits, to be
        computed by the caller.
    """
    accounts, scenarios = lots.shape[0], profit.shape[1]
    count, tiers = len(start) - 1, tier_start[len(start) - 1]
    initial = np.empty(accounts, np.int64)
    maintenance = np.empty(accounts, np.int64)
    left = np.zeros(accounts, np.int64)
    loss, tier_delta, groups = np.empty(scenarios, np.int64), np.empty(tiers, np.int64), np.zeros((6, count), np.int64)
    for a in range(accounts):
        ordered = has_orders(buy, sell, a)
        if not ordered and bound[a] <= EXACT_FLOAT:
            maintenance[a] = in_minor(np.int64(risk[a]))
            initial[a] = mul_rate(maintenance[a], factor)
            continue
        if size_of(lots, buy, sell, a, column, heaviest) > EXACT_INTEGER:
            left[a] = 1
            continue
        for which in range(2):
            found = _risk(
                lots, buy, sell, a, which == 1, column, start, profit, partner, delta, tier, tier_start,
                spread_start, spread_legs, spread_charge, spread_largest, delivery, short_minimum, credit_start,
                leg_group, leg_ratio, credit_rate, loss, tier_delta, groups,
            )  # fmt: skip
            if which == 0:
                maintenance[a] = in_minor(found)
            else:
                initial[a] = mul_rate(in_minor(found), factor)
        if ordered:
            initial[a] += own_loss(loss_buy, loss_sell, a, conversion)
    return initial, maintenance, left
