"""Strategy-based option margin, compiled: the best pairing of an account's legs, for all accounts at once.

Legs that gain when the price falls (short calls, long puts, short stock) can only be paired with legs that gain when it
rises (long calls, short puts, long stock): a vertical spread, a straddle, a covered call and a protective put all have
one of each. The cheapest pairing is therefore a transport problem, whose optimum is whole units; it is solved exactly
by successive cheapest chains (Ford and Fulkerson 1962, Flows in Networks, ch. III), in integers.

Amounts are per unit of the underlying in ``2**-bits`` minor units; sums keep whole and fraction apart, so that no
product is rounded before the end.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.wide import mul_rate, mul_shift_floor

# columns of the table of terms, int64[C, TERMS]
T_KIND = 0  # CALL_LEG, PUT_LEG or STOCK_LEG
T_UNITS = 1  # units of the group per lot
T_SHORT = 2  # one short unit alone
T_LONG = 3  # one long unit alone
T_PREMIUM = 4  # price of one unit
T_STRIKE = 5  # strike of one unit
T_EXPIRY = 6  # seconds to expiry
T_COVERED = 7  # one short option with one unit of stock, stock included
T_PROTECTED = 8  # one long option with one unit of stock, stock included
T_CURRENCY = 9  # number of the settlement currency
TERMS = 10

CALL_LEG = 1
PUT_LEG = -1
STOCK_LEG = 2

_FAR = 1 << 62


@kernel()
def pair_cost(terms, bear, bull, bear_short, bull_short):
    """What one unit of a falling and one of a rising leg ask together, -1 where the rule knows no such strategy.

    Args:
        terms: int64[C, TERMS].
        bear: contract of the leg that gains from a fall.
        bull: contract of the leg that gains from a rise.
        bear_short: True where the first is sold.
        bull_short: True where the second is sold.
    """
    first, second = terms[bear, T_KIND], terms[bull, T_KIND]
    if first == STOCK_LEG and second == STOCK_LEG:
        return np.int64(-1)
    if first == STOCK_LEG:
        return terms[bull, T_COVERED] if bull_short else terms[bull, T_PROTECTED]
    if second == STOCK_LEG:
        return terms[bear, T_COVERED] if bear_short else terms[bear, T_PROTECTED]
    if bear_short and bull_short:  # straddle or strangle: the greater, and the premium of the other
        call, put = terms[bear, T_SHORT], terms[bull, T_SHORT]
        return call + terms[bull, T_PREMIUM] if call >= put else put + terms[bear, T_PREMIUM]
    if first != second:
        return np.int64(-1)
    sold, bought = (bear, bull) if bear_short else (bull, bear)
    if terms[bought, T_EXPIRY] < terms[sold, T_EXPIRY]:
        return np.int64(-1)
    return max(terms[bull, T_STRIKE] - terms[bear, T_STRIKE], np.int64(0))


@kernel()
def _cheapest_chain(saving, flow, left, right, falling, rising, cost_left, cost_right, from_right, from_left):
    """Re-pair one chain: cheapest way to pair one more unit, as labels on both sides (Bellman-Ford).

    Mutates the labels. Returns the last leg of the cheapest chain on the rising side, -1 where none saves anything.
    """
    for i in range(falling):
        cost_left[i] = 0 if left[i] > 0 else _FAR
        from_left[i] = -1
    for j in range(rising):
        cost_right[j] = _FAR
        from_right[j] = -1
    changed = True
    while changed:
        changed = False
        for i in range(falling):
            if cost_left[i] == _FAR:
                continue
            for j in range(rising):
                if saving[i, j] > 0 and cost_left[i] - saving[i, j] < cost_right[j]:
                    cost_right[j] = cost_left[i] - saving[i, j]
                    from_right[j] = i
                    changed = True
        for j in range(rising):
            if cost_right[j] == _FAR:
                continue
            for i in range(falling):
                if flow[i, j] > 0 and cost_right[j] + saving[i, j] < cost_left[i]:
                    cost_left[i] = cost_right[j] + saving[i, j]
                    from_left[i] = j
                    changed = True
    best, last = np.int64(0), -1
    for j in range(rising):
        if right[j] > 0 and cost_right[j] < best:
            best, last = cost_right[j], j
    return last


@kernel()
def transport(saving, left, right, falling, rising, flow):
    """The pairing with the largest total saving.

    Args:
        saving: int64[n, m], saving of a pair against its legs alone; at most zero where there is no use of it.
        left: int64[n], units of each falling leg; what stays alone is left there (mutated).
        right: int64[m], units of each rising leg (mutated).
        falling: legs in use, n.
        rising: legs in use, m.
        flow: int64[n, m], units paired (written).
    """
    cost_left, cost_right = np.empty(falling, np.int64), np.empty(rising, np.int64)
    from_left, from_right = np.empty(falling, np.int64), np.empty(rising, np.int64)
    for i in range(falling):
        for j in range(rising):
            flow[i, j] = 0
    while True:
        last = _cheapest_chain(saving, flow, left, right, falling, rising, cost_left, cost_right, from_right, from_left)
        if last < 0:
            return
        amount = right[last]
        j = last
        while True:
            i = from_right[j]
            if from_left[i] < 0:
                amount = min(amount, left[i])
                break
            j = from_left[i]
            amount = min(amount, flow[i, j])
        j = last
        right[last] -= amount
        while True:
            i = from_right[j]
            flow[i, j] += amount
            if from_left[i] < 0:
                left[i] -= amount
                break
            j = from_left[i]
            flow[i, j] -= amount


@kernel()
def add(total, units, cost, bits):
    """Add units x cost to (whole minor units, fraction). Mutates ``total``, int64[2]."""
    total[0] += mul_shift_floor(units, cost, bits)
    total[1] += (units * cost) & ((np.int64(1) << bits) - 1)


@kernel()
def _ceiling(total, bits):
    """Minor units, rounded up."""
    return total[0] + ((total[1] + (np.int64(1) << bits) - 1) >> bits)


@kernel()
def _covers(terms, members, lots):
    """True where every short option can be matched with a long one of its type that expires no earlier."""
    for side in (CALL_LEG, PUT_LEG):
        for c in members:
            if terms[c, T_KIND] != side or lots[c] >= 0:
                continue
            net = np.int64(0)
            for d in members:
                if terms[d, T_KIND] == side and terms[d, T_EXPIRY] >= terms[c, T_EXPIRY]:
                    net += lots[d] * terms[d, T_UNITS]
            if net < 0:
                return False
    return True


@kernel()
def largest_loss(terms, members, lots, bits, loss, trial):
    """Largest loss at expiry of a group's options over a price of zero and the prices at their strikes.

    Mutates ``loss`` (the answer, at least zero) and ``trial``, int64[2] each.
    """
    loss[:] = 0
    for n in range(-1, len(members)):
        node = np.int64(0)
        if n >= 0:
            if terms[members[n], T_KIND] == STOCK_LEG or lots[members[n]] == 0:
                continue
            node = terms[members[n], T_STRIKE]
        trial[:] = 0
        for c in members:
            side = terms[c, T_KIND]
            if side == STOCK_LEG or lots[c] == 0:
                continue
            add(trial, -lots[c] * terms[c, T_UNITS], max(side * (node - terms[c, T_STRIKE]), np.int64(0)), bits)
        if greater(trial, loss, bits):
            loss[:] = trial


@kernel()
def greater(one, other, bits):
    """True where one (whole, fraction) is above the other."""
    whole, rest = one[0] + (one[1] >> bits), one[1] & ((np.int64(1) << bits) - 1)
    whole_other, rest_other = other[0] + (other[1] >> bits), other[1] & ((np.int64(1) << bits) - 1)
    return whole > whole_other or (whole == whole_other and rest > rest_other)


@kernel()
def group_requirement(terms, members, lots, bits, universal, total, work):
    """Add what one group of contracts asks to ``total``.

    Args:
        terms: int64[C, TERMS].
        members: contracts of the group (one underlying, one currency).
        lots: int64[C], one account.
        bits: of the fraction.
        universal: True to allow the largest loss over strikes where every short option is covered.
        total: int64[2], minor units and fraction (mutated).
        work: int64[4, 2], working space (mutated).
    """
    size = len(members)
    legs = np.empty((2, size), np.int64)
    units = np.empty((2, size), np.int64)
    falling, rising, shorts = 0, 0, 0
    paired, stock, loss, trial = work[0], work[1], work[2], work[3]
    work[:] = 0
    for c in members:
        held = lots[c] * terms[c, T_UNITS]
        if held == 0:
            continue
        side = terms[c, T_KIND]
        shorts += side != STOCK_LEG and held < 0
        alone = terms[c, T_SHORT] if held < 0 else terms[c, T_LONG]
        add(paired, abs(held), alone, bits)
        if side == STOCK_LEG:
            add(stock, abs(held), alone, bits)
        if (held < 0) == (side != PUT_LEG):
            legs[0, falling], units[0, falling] = c, abs(held)
            falling += 1
        else:
            legs[1, rising], units[1, rising] = c, abs(held)
            rising += 1
    if falling > 0 and rising > 0:
        saving = np.empty((falling, rising), np.int64)
        flow = np.empty((falling, rising), np.int64)
        for i in range(falling):
            for j in range(rising):
                x, y = legs[0, i], legs[1, j]
                cost = pair_cost(terms, x, y, lots[x] < 0, lots[y] < 0)
                alone = terms[x, T_SHORT] if lots[x] < 0 else terms[x, T_LONG]
                alone += terms[y, T_SHORT] if lots[y] < 0 else terms[y, T_LONG]
                saving[i, j] = alone - cost if cost >= 0 else np.int64(0)
        transport(saving, units[0], units[1], falling, rising, flow)
        for i in range(falling):
            for j in range(rising):
                if flow[i, j] > 0:
                    add(paired, -flow[i, j], saving[i, j], bits)
        if universal and shorts > 0 and _covers(terms, members, lots):
            largest_loss(terms, members, lots, bits, loss, trial)
            loss += stock
            if greater(paired, loss, bits):
                paired[:] = loss
    total += paired


@kernel()
def _account(terms, members, starts, lots, bits, universal, totals, work):
    """Requirement of one account by currency, int64[K, 2] (mutates ``totals``)."""
    for g in range(len(starts) - 1):
        group = members[starts[g] : starts[g + 1]]
        used = False
        for c in group:
            used = used or lots[c] != 0
        if used:
            group_requirement(terms, group, lots, bits, universal, totals[terms[group[0], T_CURRENCY]], work)


@kernel()
def converted(totals, conversion, bits):
    """Account currency, each currency rounded up."""
    amount = np.int64(0)
    for k in range(len(conversion)):
        if totals[k, 0] != 0 or totals[k, 1] != 0:
            amount += mul_rate(_ceiling(totals[k], bits), conversion[k])
    return amount


@kernel()
def held_requirement(terms, members, starts, lots, conversion, bits, universal):
    """Requirement of positions, int64[A] minor units of the account currency.

    Args:
        terms: int64[C, TERMS].
        members: contracts in the order of their groups, int64[C].
        starts: where each group starts in ``members``, int64[G + 1].
        lots: int64[A, C].
        conversion: int64[K], 2**-32.
        bits: of the fraction.
        universal: True to allow the largest loss over strikes.
    """
    answer = np.zeros(len(lots), np.int64)
    totals, work = np.zeros((len(conversion), 2), np.int64), np.zeros((4, 2), np.int64)
    for a in range(len(lots)):
        totals[:] = 0
        _account(terms, members, starts, lots[a], bits, universal, totals, work)
        answer[a] = converted(totals, conversion, bits)
    return answer


@kernel()
def order_reserve(terms, lots, open_buy, open_sell, loss_buy, loss_sell, conversion, bits):
    """Reserve of open orders beyond those that close a position, each alone, with their own loss, int64[A].

    A sold option asks its naked requirement, a bought one its price, other contracts the worse of both sides.
    """
    answer = np.zeros(len(lots), np.int64)
    totals = np.zeros((len(conversion), 2), np.int64)
    for a in range(len(lots)):
        totals[:] = 0
        for c in range(lots.shape[1]):
            if open_buy[a, c] == 0 and open_sell[a, c] == 0:
                continue
            total, units = totals[terms[c, T_CURRENCY]], terms[c, T_UNITS]
            short, long = max(-lots[a, c], np.int64(0)), max(lots[a, c], np.int64(0))
            if terms[c, T_KIND] == STOCK_LEG:  # the worse side, beyond a position turned into its opposite
                bought, sold = (
                    max(open_buy[a, c] - 2 * short, np.int64(0)),
                    max(open_sell[a, c] - 2 * long, np.int64(0)),
                )
                alone = terms[c, T_LONG] if bought >= sold else terms[c, T_SHORT]
                add(total, max(bought, sold) * units, alone, bits)
            else:
                add(total, max(open_buy[a, c] - short, np.int64(0)) * units, terms[c, T_PREMIUM], bits)
                add(total, max(open_sell[a, c] - long, np.int64(0)) * units, terms[c, T_SHORT], bits)
            total[0] += loss_buy[a, c] + loss_sell[a, c]
        answer[a] = converted(totals, conversion, bits)
    return answer


@kernel()
def converted_sum(amounts, currency, conversion):
    """Sum over contracts of amounts in their currencies, in the account currency, int64[A]; rounded up by contract."""
    answer = np.zeros(len(amounts), np.int64)
    for a in range(len(amounts)):
        for c in range(amounts.shape[1]):
            if amounts[a, c] != 0:
                answer[a] += mul_rate(amounts[a, c], conversion[currency[c]])
    return answer
