"""Standing offers of liquidators: who takes which position over, at what discount."""

from __future__ import annotations

import numpy as np

from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import (
    book_trade,
    equity,
    in_account_currency,
    position_charge,
    size_at,
    value_at,
)
from sim.kernels.penalty import charge_penalty, count_liquidated
from sim.kernels.schedule import FLAT, S_KIND
from sim.kernels.state import (
    EV_BID_TAKEN,
    EXCESS,
    INITIAL,
    ISOLATED,
    M_BIDS,
    M_FLOW,
    M_LAYOUT,
    M_LEDGER_FLOW,
    SELL_TO_BIDS,
)
from sim.kernels.wide import mul_rate, mul_shift_floor


@kernel(EXCESS)
def _free_margin(state, account, evaluate):
    """What a liquidator could put up for another position, minor units."""
    if state.meta[M_LAYOUT] == ISOLATED:
        return state.wallets[account, 0] - evaluate(state, account, -1, INITIAL)
    return equity(state, account) - evaluate(state, account, -1, INITIAL)


@kernel()
def _best_bid(state, k, side):
    """Unused standing bid for positions of ``side`` with the smallest discount, ties to the lower account; -1."""
    best = np.int64(-1)
    for i in range(state.meta[M_BIDS]):
        bid = state.bids[i]
        if bid.used != 0 or bid.contract != k or bid.side != side or bid.lots <= 0:
            continue
        if best < 0 or bid.discount < state.bids[best].discount:
            best = np.int64(i)
        elif bid.discount == state.bids[best].discount and bid.account < state.bids[best].account:
            best = np.int64(i)
    return best


@kernel()
def _lots_for(state, bidder, k, side, price, free):
    """Lots of contract k that a bidder can take over with so much free margin, at a price in sub-ticks.

    Flat rates: what the initial rate allows. Under a schedule by size: the most whose margin, with what the bidder
    holds already, exceeds that of what he holds by no more.
    """
    if state.tiers[k, 0, S_KIND] == FLAT:
        lot_value = in_account_currency(state, state.contracts[k].currency, size_at(state, k, np.int64(1), price))
        lot_margin = mul_rate(lot_value, state.rate_initial[k])
        return free // max(lot_margin, np.int64(1))
    own, currency = state.positions[bidder, k].lots, state.contracts[k].currency
    before = in_account_currency(state, currency, position_charge(state, k, INITIAL, abs(own), np.int64(0)))
    fits, too_many = np.int64(0), state.contracts[k].max_lots + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        after = position_charge(state, k, INITIAL, abs(own + side * middle), np.int64(0))
        if in_account_currency(state, currency, after) - before <= free:
            fits = middle
        else:
            too_many = middle
    return fits


@kernel(SELL_TO_BIDS)
def sell_to_bids(state, account, contract, k, lots, limit, evaluate):
    """Hand lots of contract k to liquidators' standing bids, best first, while they beat the forced limit.

    A bid takes a long at mark x (1 - discount), a short at mark x (1 + discount), for as many lots as its account can
    carry with its free margin at the initial rate.

    Args:
        state: the market; mutates bids, both accounts, counters.
        account: who is liquidated.
        contract: -1 (cross) or the isolated contract; names the pocket that pays the fee.
        k: contract index.
        lots: most lots to hand over (positive).
        limit: worst price in ticks.
        evaluate: compiled requirement, for the bidder's free margin.

    Returns:
        Lots handed over.
    """
    held = 1 if state.positions[account, k].lots > 0 else -1
    mark = state.quotes[k].mark
    given = np.int64(0)
    while given < lots:
        i = _best_bid(state, k, held)
        if i < 0:
            break
        discount = state.bids[i].discount
        price = mark - held * mul_shift_floor(mark, discount, 32)  # sub-ticks
        if held * (price - limit * 16) < 0:
            break
        bidder = np.int64(state.bids[i].account)
        free = _free_margin(state, bidder, evaluate) if bidder != account else np.int64(0)
        can_carry = _lots_for(state, bidder, k, held, price, free) if free > 0 else np.int64(0)
        room = state.contracts[k].max_lots - abs(state.positions[bidder, k].lots)
        part = min(min(lots - given, np.int64(state.bids[i].lots)), min(can_carry, room))
        if part <= 0:
            state.bids[i].used = 1
            continue
        value = value_at(state, k, part, price)
        wallet = state.wallets[account, 0]
        book_trade(state, account, k, -held, part, value)
        book_trade(state, bidder, k, held, part, value)
        touch(state, account)
        touch(state, bidder)
        state.meta[M_LEDGER_FLOW] += part
        state.meta[M_FLOW] += part
        state.bids[i].lots -= part
        if state.bids[i].lots <= 0:
            state.bids[i].used = 1
        given += part
        count_liquidated(state, account, k, part)
        record_event(state, EV_BID_TAKEN, k, account, bidder, held * part, price, value)
        charge_penalty(state, account, contract, abs(value), k, wallet)
    return given
