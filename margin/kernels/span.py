"""SPAN requirements of all accounts: scan risk, spread charges and credits, short option minimum, in integers."""

from __future__ import annotations

import numpy as np

from margin.kernels.scenario_loss import (
    EXACT_FLOAT,
    EXACT_INTEGER,
    has_orders,
    in_minor,
    own_loss,
    size_of,
    sum_losses,
    sum_profits,
)
from sim.kernels.jit import kernel
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor

DELTA_BITS = 20  # deltas are whole numbers of 2**-20 of a commodity's reference lot
SPREAD_BITS = 16  # spreads are counted in 2**-16


@kernel()
def charge_of(delta, charge):
    """Charge per reference lot times a size of delta, fine units, rounded up."""
    return -mul_shift_floor(-delta, charge, DELTA_BITS)


@kernel()
def _scan(
    lots, buy, sell, account, ordered, column, first, last, lanes, largest, profit, total, loss, partner, wants_price,
):  # fmt: skip
    """Scan risk of a combined commodity and, for spread credits, twice its price risk.

    Price risk is the worst scenario's loss averaged with that of the other volatility, less the same average at an
    unchanged price (time and volatility risk); of positions only.
    """
    bound = sum_profits(lots, account, column, first, last, lanes, largest, total)
    scenarios = lanes.shape[1]
    worst = np.int64(0)
    price = np.int64(0)
    if bound <= EXACT_FLOAT:
        least, place = total[0], 0
        for s in range(1, scenarios):
            if total[s] < least:
                least = total[s]
                place = s
        worst = max(np.int64(-least), np.int64(0))
        if wants_price:
            price = np.int64(total[0] + total[1] - least - total[partner[place]])
    else:
        sum_losses(lots, buy, sell, account, False, column, first, last, profit, loss)
        most, place = loss[0], 0
        for s in range(1, scenarios):
            if loss[s] > most:
                most = loss[s]
                place = s
        worst = max(most, np.int64(0))
        if wants_price:
            price = most + loss[partner[place]] - loss[0] - loss[1]
    if ordered:
        sum_losses(lots, buy, sell, account, True, column, first, last, profit, loss)
        worst = np.int64(0)
        for s in range(scenarios):
            worst = max(worst, loss[s])
    return worst, max(price, np.int64(0))


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
def _risk(
    lots, buy, sell, account, ordered, column, start, lanes, largest, profit, partner, delta, tier, tier_start,
    spread_start, spread_legs, spread_charge, spread_largest, delivery, short_minimum, credit_start, leg_group,
    leg_ratio, credit_rate, total, loss, tier_delta, net, available, price, credit, gross, minimum,
):  # fmt: skip
    """Risk of an account, fine units: the sum over combined commodities of what :func:`span` describes."""
    wants_price = len(credit_rate) > 0
    groups = len(start) - 1
    for g in range(groups):
        first, last = start[g], start[g + 1]
        scan, price[g] = _scan(
            lots, buy, sell, account, ordered, column, first, last, lanes, largest, profit, total, loss, partner,
            wants_price,
        )  # fmt: skip
        for t in range(tier_start[g], tier_start[g + 1]):
            tier_delta[t] = 0
        short = np.int64(0)
        low = np.int64(0)
        high = np.int64(0)
        extra = np.int64(0)
        for k in range(first, last):
            c = column[k]
            held = lots[account, c]
            sold = np.int64(0)
            if ordered:
                bought, sold = buy[account, c], sell[account, c]
                rise = max(bought * delta[k], -sold * delta[k])
                fall = max(-bought * delta[k], sold * delta[k])
                high += rise
                low += fall
                extra += charge_of((bought + sold) * abs(delta[k]), delivery[tier[k]])
            tier_delta[tier[k]] += held * delta[k]
            if short_minimum[k] != 0:
                short += max(sold - held, 0) * short_minimum[k]
        net[g] = 0
        for t in range(tier_start[g], tier_start[g + 1]):
            net[g] += tier_delta[t]
            extra += charge_of(abs(tier_delta[t]), delivery[t])
        # open orders may leave less delta to set against another commodity, and at most form spreads with all of theirs
        available[g] = net[g]
        if ordered:
            extra += charge_of(high + low, spread_largest[g])
            available[g] = max(net[g] - low, 0) if net[g] > 0 else min(net[g] + high, 0)
        if spread_start[g + 1] > spread_start[g]:
            extra += _calendar(tier_delta, spread_start[g], spread_start[g + 1], spread_legs, spread_charge)
        gross[g] = scan + extra
        minimum[g] = short
    if wants_price:
        _credits(available, net, price, credit_start, leg_group, leg_ratio, credit_rate, credit)
    risk = np.int64(0)
    for g in range(groups):
        risk += max(gross[g] - (credit[g] if wants_price else 0), minimum[g])
    return risk


@kernel()
def span(
    lots, buy, sell, loss_buy, loss_sell, conversion, column, start, lanes, largest, profit, partner, delta, tier,
    tier_start, spread_start, spread_legs, spread_charge, spread_largest, delivery, short_minimum, credit_start,
    leg_group, leg_ratio, credit_rate, factor, heaviest,
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
        lanes: float64[C, S], profit of 2**10 lots of row k, minor units of the account currency.
        largest: float64[C], largest size of each row of ``lanes``.
        profit: int64[C, S], the same as ``lanes``.
        partner: int64[S], the scenario that differs only in the sign of its volatility move.
        delta: int64[C], composite delta of a lot of row k in 2**-20 of the commodity's reference lot.
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
        heaviest: float64[C], bound on anything of a lot of row k that is added up.

    Returns:
        Initial and maintenance, int64[A] minor units, and int64[A]: 1 where the account is too large for 64 bits, to be
        computed by the caller.
    """
    accounts = lots.shape[0]
    groups, tiers, scenarios = len(start) - 1, tier_start[len(start) - 1], lanes.shape[1]
    initial = np.empty(accounts, np.int64)
    maintenance = np.empty(accounts, np.int64)
    left = np.zeros(accounts, np.int64)
    total, loss = np.empty(scenarios), np.empty(scenarios, np.int64)
    tier_delta = np.zeros(tiers, np.int64)
    net, available = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    price, credit = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    gross, minimum = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    for a in range(accounts):
        ordered = has_orders(buy, sell, a)
        if size_of(lots, buy, sell, a, ordered, column, 0, len(column), heaviest) > EXACT_INTEGER:
            left[a] = 1
            continue
        risk = _risk(
            lots, buy, sell, a, False, column, start, lanes, largest, profit, partner, delta, tier, tier_start,
            spread_start, spread_legs, spread_charge, spread_largest, delivery, short_minimum, credit_start, leg_group,
            leg_ratio, credit_rate, total, loss, tier_delta, net, available, price, credit, gross, minimum,
        )  # fmt: skip
        maintenance[a] = in_minor(risk)
        if not ordered:
            initial[a] = mul_rate(maintenance[a], factor)
            continue
        risk = _risk(
            lots, buy, sell, a, True, column, start, lanes, largest, profit, partner, delta, tier, tier_start,
            spread_start, spread_legs, spread_charge, spread_largest, delivery, short_minimum, credit_start, leg_group,
            leg_ratio, credit_rate, total, loss, tier_delta, net, available, price, credit, gross, minimum,
        )  # fmt: skip
        initial[a] = mul_rate(in_minor(risk), factor) + own_loss(loss_buy, loss_sell, a, conversion)
    return initial, maintenance, left
