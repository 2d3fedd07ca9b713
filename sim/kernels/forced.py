"""Forced closing of an account's positions: standing bids of liquidators, then the order book, then the fund."""

from __future__ import annotations

import numpy as np

from sim.kernels.book import cancel_all, submit
from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import (
    OFFSET_FUND,
    book_trade,
    credit,
    equity,
    position_charge,
    position_equity,
    transfer,
    value_at,
)
from sim.kernels.schedule import FLAT, S_KIND
from sim.kernels.state import (
    BUY,
    CAUSE_LIQUIDATION,
    EV_BID_TAKEN,
    EV_LIQUIDATION,
    EXCESS,
    FORCED,
    INITIAL,
    IOC,
    ISOLATED,
    LIMIT_BAND,
    LIMIT_NONE,
    LIQUIDATE,
    LIQUIDATING,
    M_BIDS,
    M_CONTRACTS,
    M_EVENT_SEQ,
    M_FILLS,
    M_FLOW,
    M_FORCED_LIMIT,
    M_LAYOUT,
    M_LEDGER_FLOW,
    M_LIQUIDATING,
    M_LIQUIDATIONS,
    M_PARTIAL,
    M_ROUND,
    M_STEP,
    M_SURPLUS_TO_FUND,
    M_TARGET_RATIO,
    M_TRADERS,
    MAINTENANCE,
    OPEN,
    RATE_ONE,
    SELL,
    SELL_TO_BIDS,
)
from sim.kernels.waterfall import close_account, cover, fund_can_take, take_over
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor


@kernel()
def _gross(state, account, contract):
    """Value at mark of what is being liquidated: the whole account (-1) or one isolated position."""
    total = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots != 0 and (contract < 0 or k == contract):
            total += value_at(state, k, abs(lots), state.quotes[k].mark)
    return total


@kernel()
def _own_equity(state, account, contract):
    return equity(state, account) if contract < 0 else position_equity(state, account, contract)


@kernel()
def forced_price(state, account, contract, k, side):
    """Limit of a forced order in ticks, by the scenario's ``forced_limit``.

    ``bankruptcy``: the price at which the account is left with nothing: mark x (1 -+ equity / value of its positions),
    which for one contract is (cost - cash) / (lots x tick value). ``band``: the price band. ``none``: any price.

    Args:
        state: the market.
        account: the account.
        contract: -1 (cross) or the isolated contract.
        k: contract of the order.
        side: side of the forced order.
    """
    limit = state.meta[M_FORCED_LIMIT]
    top = state.contracts[k].max_price
    mark = state.quotes[k].mark
    if limit == LIMIT_NONE:
        return top if side == BUY else np.int64(1)
    if limit == LIMIT_BAND:
        step = mul_shift_floor(mark, state.contracts[k].band, 32)
        price = (mark + step) >> 4 if side == BUY else (mark - step + 15) >> 4
        return min(max(price, np.int64(1)), top)
    gross = _gross(state, account, contract)
    room = mul_div_floor(_own_equity(state, account, contract), mark, max(gross, np.int64(1)))  # sub-ticks, signed
    price = (mark + room) >> 4 if side == BUY else -((-(mark - room)) >> 4)
    return min(max(price, np.int64(1)), top)


@kernel(LIQUIDATE)
def lots_to_close(state, account, contract, full, evaluate):
    """Fraction of the positions to close, in 2**-32: all of it, or what restores the target ratio.

    A partial liquidation of a fraction x at mark leaves equity - fee x V against maintenance (1 - x) M; the target
    ratio t of equity to maintenance asks for x = (t M - E) / (t M - fee V).
    """
    if full or state.meta[M_PARTIAL] == 0:
        return np.int64(RATE_ONE)
    required = evaluate(state, account, contract, MAINTENANCE)
    own = _own_equity(state, account, contract)
    target = mul_rate(required, state.meta[M_TARGET_RATIO])
    fee = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots != 0 and (contract < 0 or k == contract):
            fee += mul_rate(value_at(state, k, abs(lots), state.quotes[k].mark), state.contracts[k].fee_liquidation)
    if target <= fee or own <= fee:
        return np.int64(RATE_ONE)
    return min(max(mul_div_floor(target - own, RATE_ONE, target - fee), np.int64(1)), np.int64(RATE_ONE))


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
def _charge_fee(state, account, contract, value, k, wallet):
    """Take the liquidation fee of a filled value, at most what equity is left, and give it to the fund.

    An isolated position that is flat by now pays from what its pocket returned to the wallet, which held ``wallet``
    before the fill.
    """
    fee = mul_rate(value, state.contracts[k].fee_liquidation)
    flat = contract >= 0 and state.positions[account, contract].lots == 0
    left = state.wallets[account, 0] - wallet if flat else _own_equity(state, account, contract)
    fee = min(fee, max(left, np.int64(0)))
    if fee <= 0:
        return
    credit(state, account, -1 if flat else contract, -fee)
    credit(state, state.meta[M_TRADERS] + OFFSET_FUND, -1, fee)
    state.accounts[account].fees += fee
    touch(state, account)


@kernel()
def _count(state, account, k, lots):
    state.quotes[k].liquidated += lots
    state.positions[account, k].liquidated += lots
    state.accounts[account].liquidated += lots


@kernel()
def _lots_for(state, bidder, k, side, price, free):
    """Lots of contract k that a bidder can take over with so much free margin, at a price in sub-ticks.

    Flat rates: what the initial rate allows. Under a schedule by size: the most whose margin, with what the bidder
    holds already, exceeds that of what he holds by no more.
    """
    if state.tiers[k, 0, S_KIND] == FLAT:
        lot_margin = mul_rate((price * state.contracts[k].tick_value) >> 4, state.rate_initial[k])
        return free // max(lot_margin, np.int64(1))
    own = state.positions[bidder, k].lots
    before = position_charge(state, k, INITIAL, abs(own), np.int64(0))
    fits, too_many = np.int64(0), state.contracts[k].max_lots + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if position_charge(state, k, INITIAL, abs(own + side * middle), np.int64(0)) - before <= free:
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
    tick_value = state.contracts[k].tick_value
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
        value = (price * part * tick_value) >> 4
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
        _count(state, account, k, part)
        record_event(state, EV_BID_TAKEN, k, account, bidder, held * part, price, value)
        _charge_fee(state, account, contract, value, k, wallet)
    return given


@kernel(EXCESS)
def finish(state, account, evaluate):
    """After the forced orders: pay what a flat account owes, hand over its surplus, close it if it was bankrupt."""
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    if state.meta[M_LAYOUT] == ISOLATED:
        for k in range(state.meta[M_CONTRACTS]):
            if state.positions[account, k].lots == 0 and state.positions[account, k].pocket != 0:
                left = state.positions[account, k].pocket
                if left < 0:
                    cover(state, account, k)
                else:
                    credit(state, account, k, -left)
                    credit(state, account, -1, left)
        if state.accounts[account].positions == 0 and state.wallets[account, 0] < 0:
            cover(state, account, -1)
            close_account(state, account)
        return np.int64(0)
    if state.accounts[account].positions != 0:
        return np.int64(0)
    cash = state.wallets[account, 0]
    if cash < 0:
        cover(state, account, -1)
        close_account(state, account)
    elif state.meta[M_SURPLUS_TO_FUND] != 0 and cash > 0:
        transfer(state, account, fund, cash)
        state.accounts[account].fees += cash
    return np.int64(0)


@kernel()
def sell_to_book(state, account, contract, k, lots, limit):
    """Send a forced immediate-or-cancel order and charge the liquidation fee. Returns lots filled."""
    side = SELL if state.positions[account, k].lots > 0 else BUY
    first = state.meta[M_FILLS]
    wallet = state.wallets[account, 0]
    submit(state, k, side, limit, lots, account, IOC, FORCED, 0, 0, CAUSE_LIQUIDATION, state.meta[M_EVENT_SEQ])
    filled, value = np.int64(0), np.int64(0)
    for i in range(first, state.meta[M_FILLS]):
        filled += state.fills[i].quantity
        value += state.fills[i].quantity * state.fills[i].price * state.contracts[k].tick_value
    if filled > 0:
        _count(state, account, k, filled)
        _charge_fee(state, account, contract, value, k, wallet)
    return filled


@kernel(LIQUIDATE)
def liquidate(state, account, contract, last_resort, evaluate):
    """Liquidate an account (contract -1) or one isolated position as far as this round allows.

    Its orders are cancelled; then, per contract held, standing bids and the book take what the policy closes, no worse
    than the forced limit. As a last resort the fund takes the rest at the bankruptcy price while its equity lasts; what
    the fund cannot bear is sold at any price and the loss goes down the waterfall.

    Args:
        state: the market.
        account: the account.
        contract: -1 for the whole account.
        last_resort: True in the round after the last, when a forced limit is set.
        evaluate: compiled requirement.

    Returns:
        Lots that changed hands.
    """
    if state.accounts[account].status != LIQUIDATING:
        state.accounts[account].status = LIQUIDATING
        state.meta[M_LIQUIDATING] += 1  # recounted at the end of clearing
        state.accounts[account].last_liquidation = state.meta[M_STEP]
        state.meta[M_LIQUIDATIONS] += 1
    state.meta[M_EVENT_SEQ] += 1
    cancel_all(state, account, contract)
    wallet = state.wallets[account, 0]
    isolated = contract >= 0
    fraction = lots_to_close(state, account, contract, last_resort, evaluate)
    moved = np.int64(0)
    taken_over = last_resort and fund_can_take(state, account, contract)
    if taken_over:
        moved = take_over(state, account, contract)
    else:
        for k in range(state.meta[M_CONTRACTS]):
            held = state.positions[account, k].lots
            if held == 0 or (isolated and k != contract):
                continue
            side = SELL if held > 0 else BUY
            lots = min(mul_rate(abs(held), fraction), abs(held))
            if last_resort:
                limit = np.int64(1) if side == SELL else state.contracts[k].max_price
            else:
                limit = forced_price(state, account, contract, k, side)
            given = np.int64(0)
            if state.meta[M_BIDS] > 0:
                given = sell_to_bids(state, account, contract, k, lots, limit, evaluate)
            filled = np.int64(0)
            if given < lots:
                filled = sell_to_book(state, account, contract, k, lots - given, limit)
            moved += given + filled
            record_event(state, EV_LIQUIDATION, k, account, state.meta[M_ROUND], side * lots, given + filled, limit)
    if isolated and state.meta[M_SURPLUS_TO_FUND] != 0 and state.positions[account, contract].lots == 0:
        gained = state.wallets[account, 0] - wallet
        if gained > 0:
            transfer(state, account, state.meta[M_TRADERS] + OFFSET_FUND, gained)
            state.accounts[account].fees += gained
    finish(state, account, evaluate)
    if state.accounts[account].positions == 0 and state.accounts[account].status == LIQUIDATING:
        state.accounts[account].status = OPEN
    touch(state, account)
    return moved
