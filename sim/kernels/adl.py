"""Auto-deleveraging: a failed account's positions are closed against counterparties on the other side.

Counterparties give up lots in the order, or in the shares, of the design's ranking (:mod:`sim.kernels.adl_ranking`), at
the failed account's bankruptcy price or at the mark of the previous reading. Those whose own equity is gone come last,
when nobody else is left: what they lose they cannot pay, and it would come back as the next deficit.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.adl_ranking import (
    COUNT,
    draw_up,
    is_fresh,
    lots_to_give,
    may_give,
    money_behind,
    score_of,
    sift_down,
    sift_up,
    swap,
)
from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import book_trade
from sim.kernels.penalty import count_liquidated, own_equity
from sim.kernels.shortfall import settle_closed
from sim.kernels.state import (
    ADL_AT_PREVIOUS_MARK,
    EV_ADL,
    EV_BANKRUPT,
    M_ADL_LOTS,
    M_BAD_DEBT,
    M_CONTRACTS,
    M_FLOW,
    M_LEDGER_FLOW,
    M_TRADERS,
    RANK_PRO_RATA,
    RANK_RISK_PRO_RATA,
    RANK_WATER_FILLING,
    RATE_ONE,
    W_ADL_PAID,
    W_ADL_PRICE,
    W_RANKING,
)
from sim.kernels.takeover import gross_of
from sim.kernels.values import is_inverse, notional_of, value_at
from sim.kernels.wide import mul_div_floor

_SHARE_ONE = 1 << 40  # integer weights of the risk-aware shares sum to about this


@kernel()
def is_flat(state, account, contract):
    """True when nothing is left of what is being closed: of an account (contract -1) or of one position."""
    return state.accounts[account].positions == 0 if contract < 0 else state.positions[account, contract].lots == 0


@kernel()
def price_of(state, k, lots, value):
    """Price in sub-ticks at which lots > 0 are worth a value (signed as a buyer's cost), rounded down."""
    size = lots * state.contracts[k].tick_value
    if is_inverse(state, k):
        return mul_div_floor(size, np.int64(16), max(-value, np.int64(1)))
    return mul_div_floor(value, np.int64(16), size)


@kernel()
def closing_value(state, k, lots, share):
    """What all of a position is closed for, signed as a buyer's cost of it, settlement currency.

    At the bankruptcy price the account's value at mark less ``share``, its part of the equity, so that nothing is left;
    kept within the contract's prices, one tick to the largest. What lies beyond stays as a debt of the account.

    Args:
        state: the market.
        k: contract.
        lots: signed position.
        share: equity that the position gives up, account currency.
    """
    if state.waterfall[W_ADL_PRICE] == ADL_AT_PREVIOUS_MARK:
        mark = state.mark_before[k] if state.mark_before[k] > 0 else state.quotes[k].mark
        return value_at(state, k, abs(lots), mark)
    currency = state.contracts[k].currency
    if currency != 0:
        share = mul_div_floor(share, np.int64(RATE_ONE), max(state.conversion[currency], np.int64(1)))
    mark = state.quotes[k].mark
    at_mark = value_at(state, k, lots, mark)
    value = at_mark - share if lots > 0 else share - at_mark
    low = value_at(state, k, abs(lots), min(mark, np.int64(16)))  # an option may be marked below a tick
    high = value_at(state, k, abs(lots), state.contracts[k].max_price * 16)
    return min(max(value, low), high)


@kernel()
def _hand(state, account, giver, k, lots, done, size, total):
    """One counterparty gives up lots at the price of the whole. Mutates both accounts, counters and tape.

    Args:
        state: the market.
        account: the failed account.
        giver: the counterparty.
        k: contract.
        lots: that it gives up, positive.
        done: lots of the position that are closed already.
        size: lots of the position before any were.
        total: what all of it is closed for; shares of it are cumulative floors.
    """
    value = mul_div_floor(total, done + lots, size) - mul_div_floor(total, done, size)
    side = -1 if state.positions[account, k].lots > 0 else 1
    book_trade(state, account, k, side, lots, value)
    book_trade(state, giver, k, -side, lots, value)
    touch(state, giver)
    count_liquidated(state, account, k, lots)
    state.meta[M_LEDGER_FLOW] += lots
    state.meta[M_FLOW] += lots
    state.meta[M_ADL_LOTS] += lots
    record_event(state, EV_ADL, k, account, giver, side * lots, price_of(state, k, lots, value), value)


@kernel()
def _in_order(state, account, k, side, done, size, total):
    """The first of the ranking gives up all it has, then the next. Returns lots closed in the end."""
    row = 0 if side > 0 else 1
    while done < size and state.adl_state[k, row, COUNT] > 0:
        giver = np.int64(state.adl_heaps[k, row, 0].account)
        room = lots_to_give(state, giver, k, side)
        lots = min(room, size - done)
        if lots > 0:
            _hand(state, account, giver, k, lots, done, size, total)
            done += lots
        if lots == room:
            state.adl_state[k, row, COUNT] -= 1
            swap(state, k, row, 0, state.adl_state[k, row, COUNT])
            sift_down(state, k, row, 0, state.adl_state[k, row, COUNT])
    return done


@kernel()
def _pro_rata(state, account, k, side, done, size, total):
    """Everybody gives up the same part of his position, by cumulative floors. Returns lots closed in the end."""
    row = 0 if side > 0 else 1
    all_lots = np.int64(0)
    for i in range(state.adl_state[k, row, COUNT]):
        all_lots += lots_to_give(state, np.int64(state.adl_heaps[k, row, i].account), k, side)
    wanted = min(size - done, all_lots)
    seen, given = np.int64(0), np.int64(0)
    for i in range(state.adl_state[k, row, COUNT]):
        giver = np.int64(state.adl_heaps[k, row, i].account)
        room = lots_to_give(state, giver, k, side)
        seen += room
        lots = (mul_div_floor(wanted, seen, all_lots) if all_lots > 0 else np.int64(0)) - given
        if lots > 0:
            _hand(state, account, giver, k, lots, done + given, size, total)
            given += lots
    return done + given


@kernel()
def _saturate(state, k, row, side, wanted):
    """Let those give all they have whose share by weight would be more. Returns what is left for the others to give.

    Weights are lots x leverage. Mutates ``taken``: all lots of who is saturated, else -1.
    """
    count = state.adl_state[k, row, COUNT]
    for i in range(count):
        state.adl_heaps[k, row, i].taken = -1
    again = True
    while again and wanted > 0:
        again = False
        weights = 0.0
        for i in range(count):
            entry = state.adl_heaps[k, row, i]
            if entry.taken < 0:
                weights += entry.score * lots_to_give(state, np.int64(entry.account), k, side)
        per_weight = wanted / weights if weights > 0.0 else 0.0
        for i in range(count):
            entry = state.adl_heaps[k, row, i]
            room = lots_to_give(state, np.int64(entry.account), k, side)
            if entry.taken < 0 and entry.score * per_weight >= 1.0 and room <= wanted:
                entry.taken = room
                wanted -= room
                again = True
    return wanted


@kernel()
def _risk_pro_rata(state, account, k, side, done, size, total):
    """Everybody gives up lots in proportion to lots x leverage, at most all he has. Returns lots closed in the end."""
    row = 0 if side > 0 else 1
    count = state.adl_state[k, row, COUNT]
    wanted = _saturate(state, k, row, side, size - done)
    weights = 0.0
    for i in range(count):
        entry = state.adl_heaps[k, row, i]
        if entry.taken < 0:
            weights += entry.score * lots_to_give(state, np.int64(entry.account), k, side)
    units, seen, given = np.int64(0), np.int64(0), np.int64(0)
    for once in range(2):  # the integer weights are summed, then shared out
        for i in range(count):
            entry = state.adl_heaps[k, row, i]
            room = lots_to_give(state, np.int64(entry.account), k, side)
            if (once == 0 and entry.taken >= 0) or room == 0 or weights <= 0.0:
                continue
            if once == 0:
                units += np.int64(entry.score * room / weights * _SHARE_ONE) + 1
            elif entry.taken < 0:
                seen += np.int64(entry.score * room / weights * _SHARE_ONE) + 1
                entry.taken = min(mul_div_floor(wanted, seen, units) - given, room)
                given += entry.taken
    left = wanted - given  # shares that were cut to what there is
    for i in range(count):
        entry = state.adl_heaps[k, row, i]
        giver = np.int64(entry.account)
        room = lots_to_give(state, giver, k, side)
        lots = max(entry.taken, np.int64(0))
        more = min(left, room - lots)
        left -= more
        if lots + more > 0:
            _hand(state, account, giver, k, lots + more, done, size, total)
            done += lots + more
    return done


@kernel()
def _room(state, k, row, i):
    """Lots of an entry that was taken off its heap."""
    entry = state.adl_heaps[k, row, i]
    return abs(state.positions[entry.account, k].lots) if entry.equity > 0.0 else np.int64(0)


@kernel()
def _drain(state, k, row, first, last, level, per_lot, write):
    """Lots that bring the entries first .. last - 1 of a list down to a level of leverage.

    Args:
        state: the market.
        k: contract.
        row: of the list, by side.
        first: entry.
        last: entry behind the last.
        level: leverage to bring them to.
        per_lot: value of a lot, account currency.
        write: True to write the lots.
    """
    lots = np.int64(0)
    for i in range(first, last):
        entry = state.adl_heaps[k, row, i]
        room, part = _room(state, k, row, i), np.int64(0)
        if room > 0 and entry.score > level:
            need = np.ceil((entry.score - level) * entry.equity / per_lot)
            part = room if need >= room else np.int64(need)
        lots += part
        if write:
            entry.taken = part
    return lots


@kernel()
def _level(state, k, row, first, last, wanted, per_lot):
    """The least level of leverage to which ``wanted`` lots can bring the entries first .. last - 1 (by bisection)."""
    low, high = -1.0, 0.0
    for i in range(first, last):
        high = max(high, state.adl_heaps[k, row, i].score)
    for _ in range(100):
        middle = 0.5 * (low + high)
        if middle <= low or middle >= high:
            break
        if _drain(state, k, row, first, last, middle, per_lot, False) <= wanted:
            high = middle
        else:
            low = middle
    return high


@kernel()
def _pop(state, k, row, side):
    """Take the first entry off the heap and put it behind it, its score renewed. Mutates the list and its count.

    Who has nothing to give any more gets an equity of zero.
    """
    while True:
        entry = state.adl_heaps[k, row, 0]
        account = np.int64(entry.account)
        own, score = 0.0, 0.0
        if lots_to_give(state, account, k, side) > 0:
            money = money_behind(state, account, k)
            own, score = np.float64(money), score_of(state, account, k, money, state.waterfall[W_RANKING])
        if score == entry.score and own == entry.equity:
            break
        entry.score = score
        entry.equity = own
        sift_down(state, k, row, 0, state.adl_state[k, row, COUNT])
        if np.int64(state.adl_heaps[k, row, 0].account) == account:
            break
    state.adl_state[k, row, COUNT] -= 1
    swap(state, k, row, 0, state.adl_state[k, row, COUNT])
    sift_down(state, k, row, 0, state.adl_state[k, row, COUNT])


@kernel()
def _give_rest(state, k, row, first, last, wanted, per_lot):
    """Hand out the last lots one by one, each to whoever then has the highest leverage. Mutates ``taken``."""
    while wanted > 0:
        highest = -1.0
        for i in range(first, last):
            entry = state.adl_heaps[k, row, i]
            left = entry.score - entry.taken * per_lot / max(entry.equity, 1.0)
            if left > highest and entry.taken < _room(state, k, row, i):
                highest = left
        if highest < 0.0:
            return
        for i in range(last - 1, first - 1, -1):
            entry = state.adl_heaps[k, row, i]
            left = entry.score - entry.taken * per_lot / max(entry.equity, 1.0)
            if wanted > 0 and left >= highest and entry.taken < _room(state, k, row, i):
                entry.taken += 1
                wanted -= 1


@kernel()
def _water_filling(state, account, k, side, done, size, total):
    """The most leveraged are reduced to a common level of leverage, as low as the lots allow.

    Leverage is value at mark over equity before anything changes hands; the greatest that remains among those who
    could still be reduced is the least possible in whole lots. Returns lots closed in the end.
    """
    row = 0 if side > 0 else 1
    last = state.adl_state[k, row, COUNT]
    first = last
    if last == 0:
        return done
    bound = state.contracts[k].max_lots
    per_lot = notional_of(state, k, bound) / np.float64(bound)
    wanted, batch, level = size - done, 16, 0.0
    while True:
        while first > 0 and last - first < batch:
            _pop(state, k, row, side)
            first = state.adl_state[k, row, COUNT]
        if _drain(state, k, row, first, last, -1.0, per_lot, False) > wanted:
            level = _level(state, k, row, first, last, wanted, per_lot)
        else:
            level = -1.0
        if first == 0 or state.adl_heaps[k, row, 0].score <= level:
            break
        batch *= 4
    given = _drain(state, k, row, first, last, level, per_lot, True)
    _give_rest(state, k, row, first, last, wanted - given, per_lot)
    for i in range(last - 1, first - 1, -1):
        entry = state.adl_heaps[k, row, i]
        if entry.taken > 0:
            _hand(state, account, np.int64(entry.account), k, entry.taken, done, size, total)
            done += entry.taken
    # back onto the heap with what is left of them
    for i in range(first, last):
        entry = state.adl_heaps[k, row, i]
        giver = np.int64(entry.account)
        if lots_to_give(state, giver, k, side) > 0:
            own = money_behind(state, giver, k)
            entry.score = score_of(state, giver, k, own, state.waterfall[W_RANKING])
            entry.equity = np.float64(own)
            place = state.adl_state[k, row, COUNT]
            swap(state, k, row, i, place)
            state.adl_state[k, row, COUNT] = place + 1
            sift_up(state, k, row, place)
    return done


@kernel()
def _by_ranking(state, account, k, side, done, size, total):
    ranking = state.waterfall[W_RANKING]
    if ranking == RANK_PRO_RATA:
        return _pro_rata(state, account, k, side, done, size, total)
    if ranking == RANK_RISK_PRO_RATA:
        return _risk_pro_rata(state, account, k, side, done, size, total)
    if ranking == RANK_WATER_FILLING:
        return _water_filling(state, account, k, side, done, size, total)
    return _in_order(state, account, k, side, done, size, total)


@kernel()
def _close_position(state, account, k, total):
    """Close one position of a failed account against counterparties. Returns lots closed."""
    held = state.positions[account, k].lots
    size, side = abs(held), -1 if held > 0 else 1  # side of the counterparties
    row = 0 if side > 0 else 1
    fresh = not is_fresh(state, k, row)
    if fresh:
        draw_up(state, k, side)
    done = _by_ranking(state, account, k, side, np.int64(0), size, total)
    if done < size and not fresh:
        draw_up(state, k, side)
        done = _by_ranking(state, account, k, side, done, size, total)
    if done < size:  # only those are left who have nothing themselves
        for giver in range(state.meta[M_TRADERS]):
            if done == size:
                break
            if may_give(state, giver, k, side):
                lots = min(abs(state.positions[giver, k].lots), size - done)
                _hand(state, account, giver, k, lots, done, size, total)
                done += lots
    return done


@kernel()
def deleverage(state, account, contract):
    """Close the positions of a failed account against counterparties on the other side, by the design's ranking.

    A bankrupt account whose positions are all closed pays what it still owes through the layers that pay cash, and is
    closed; one that something is left to stays open. What counterparties bore of its deficit is counted.

    Args:
        state: the market; mutates the ledgers of both sides, ``adl_heaps``, counters, tape.
        account: the failed account: a trader, the vault or the fund.
        contract: -1 for the whole account (cross), else the isolated position.

    Returns:
        Lots closed; fewer than were held when there are no more counterparties.
    """
    gross = gross_of(state, account, contract)
    if gross <= 0:
        return np.int64(0)
    before = own_equity(state, account, contract)
    left, moved = before, np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots == 0 or (contract >= 0 and k != contract):
            continue
        here = notional_of(state, k, abs(lots))
        share = left if here == gross else mul_div_floor(left, here, gross)
        left -= share
        gross -= here
        moved += _close_position(state, account, k, closing_value(state, k, lots, share))
    touch(state, account)
    if before < 0 and moved > 0:
        flat = is_flat(state, account, contract)
        # of a closed isolated position nothing is left but what its pocket lacks
        after = min(own_equity(state, account, contract), np.int64(0))
        borne = min(max(after - before, np.int64(0)), -before)
        state.meta[M_BAD_DEBT] += borne
        state.waterfall[W_ADL_PAID] += borne
        if borne > 0:
            record_event(state, EV_BANKRUPT, contract, account, 0, borne, 0, 0)
        if flat:
            settle_closed(state, account, contract)
    return moved
