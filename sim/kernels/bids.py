"""Standing offers of liquidators: who takes which position over, at what discount, and who wins the race for it.

Two outlets use them. Before a forced order meets the book, offers are taken in the order of the discount that they ask
for. Where the policy names the discount (outlet ``liquidators``, and auctions) there is nothing to underbid, so
liquidators race: all who gain enough send their transaction, the one with the highest priority fee comes first.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.charges import position_charge
from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.keyed import philox
from sim.kernels.ledger import OFFSET_FEES, OFFSET_FUND, book_trade, charge, credit_in, equity
from sim.kernels.penalty import charge_penalty, count_liquidated, own_equity
from sim.kernels.schedule import FLAT, S_KIND
from sim.kernels.state import (
    EV_BID_TAKEN,
    EXCESS,
    INITIAL,
    ISOLATED,
    LP_BONUS,
    LP_BONUS_MOST,
    LP_BONUS_SLOPE,
    LP_OUTLET,
    LP_PROTOCOL_SHARE,
    M_ACCOUNTS,
    M_BIDS,
    M_FLOW,
    M_LAYOUT,
    M_LEDGER_FLOW,
    M_ROUND,
    M_SEED,
    M_STEP,
    M_TRADERS,
    MAINTENANCE,
    OF_POSITION,
    OUTLET_AUCTION,
    OUTLET_LIQUIDATORS,
    RACE,
    RATE_ONE,
    SELL_TO_BIDS,
)
from sim.kernels.values import in_account_currency, is_option, notional_of, size_at, value_at
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor
from sim.keyed import stream

RACE_STREAM = stream("liquidator_race")
NOT_RACING, RACING, HAD_ITS_TURN = 0, 1, 2
_LOWEST_RATIO = 1000  # equity over maintenance is not read below minus this


@kernel(EXCESS)
def free_margin(state, account, evaluate):
    """What a liquidator could put up for another position, minor units."""
    if state.meta[M_LAYOUT] == ISOLATED:
        return state.wallets[account, 0] - evaluate(state, account, -1, INITIAL)
    return equity(state, account) - evaluate(state, account, -1, INITIAL)


@kernel()
def in_reach(state, i, account, k, side):
    """True when offer i is open to a position of ``side`` in contract k of an account under liquidation.

    An offer reaches an account only after the steps that its liquidator needs (latency) since liquidation began.
    """
    bid = state.bids[i]
    if bid.used != 0 or bid.contract != k or bid.side != side or bid.lots <= 0:
        return False
    return bid.latency <= 0 or bid.latency <= state.meta[M_STEP] - state.accounts[account].last_liquidation


@kernel()
def _best_bid(state, account, k, side):
    """Open offer for positions of ``side`` with the smallest discount that has not had its turn, -1 if none.

    Ties go to the higher priority fee, then to the lower account.
    """
    best = np.int64(-1)
    for i in range(state.meta[M_BIDS]):
        bid = state.bids[i]
        if bid.racing != NOT_RACING or not in_reach(state, i, account, k, side):
            continue
        if best < 0:
            best = np.int64(i)
            continue
        other = state.bids[best]
        if bid.discount != other.discount:
            better = bid.discount < other.discount
        elif bid.fee != other.fee:
            better = bid.fee > other.fee
        else:
            better = bid.account < other.account
        if better:
            best = np.int64(i)
    return best


@kernel()
def _lots_for(state, bidder, k, side, price, free):
    """Lots of contract k that a bidder can take over with so much free margin, at a price in sub-ticks.

    Flat rates: what the initial rate allows. Under a schedule by size, and of options: the most whose margin, with what
    the bidder holds already, exceeds that of what he holds by no more.
    """
    if state.tiers[k, 0, S_KIND] == FLAT and not is_option(state, k):
        lot_value = in_account_currency(state, state.contracts[k].currency, size_at(state, k, np.int64(1), price))
        lot_margin = mul_rate(lot_value, state.rate_initial[k])
        return free // max(lot_margin, np.int64(1))
    own, currency = state.positions[bidder, k].lots, state.contracts[k].currency
    before = in_account_currency(state, currency, position_charge(state, k, INITIAL, own, np.int64(0)))
    fits, too_many = np.int64(0), state.contracts[k].max_lots + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        after = position_charge(state, k, INITIAL, own + side * middle, np.int64(0))
        if in_account_currency(state, currency, after) - before <= free:
            fits = middle
        else:
            too_many = middle
    return fits


@kernel()
def _carries(state, i, k, side, price, lots, free):
    """Lots of those on offer that bidder i wants and can carry with its free margin and the position limit."""
    bid = state.bids[i]
    bidder = np.int64(bid.account)
    can_carry = _lots_for(state, bidder, k, side, price, free) if free > 0 else np.int64(0)
    room = state.contracts[k].max_lots - abs(state.positions[bidder, k].lots)
    return min(min(lots, np.int64(bid.lots)), min(can_carry, room))


@kernel()
def priority_fee(state, i, gain):
    """Priority fee that offer i sends along when it expects a gain before fee, minor units."""
    bid = state.bids[i]
    if bid.share <= 0:
        return bid.fee
    return min(bid.fee, mul_shift_floor(max(gain, np.int64(0)), bid.share, 32))


@kernel()
def race_key(state, account, bidder):
    """Draw that orders equal fees in the race of an account: u(seed, "liquidator_race", step, account x liquidator)."""
    pair = account * state.meta[M_ACCOUNTS] + bidder
    return philox(state.meta[M_SEED], RACE_STREAM, state.meta[M_STEP], pair, state.meta[M_ROUND])[0]


@kernel()
def pay_costs(state, bidder, amount):
    """Gas and priority fees: cash of a liquidator to the fees account."""
    if amount > 0:
        charge(state, bidder, state.meta[M_TRADERS] + OFFSET_FEES, 0, amount)
        touch(state, bidder)


@kernel()
def come_too_late(state, i):
    """A racer that got nothing pays for its failed transaction, as far as it has money."""
    bid = state.bids[i]
    bid.racing = HAD_ITS_TURN
    bidder = np.int64(bid.account)
    purse = state.wallets[bidder, 0] if state.meta[M_LAYOUT] == ISOLATED else equity(state, bidder)
    pay_costs(state, bidder, min(bid.revert, max(purse, np.int64(0))))


@kernel()
def front_runner(state):
    """The racer with the highest priority fee, ties by the drawn key; -1 when nobody races any more."""
    best = np.int64(-1)
    for i in range(state.meta[M_BIDS]):
        bid = state.bids[i]
        if bid.racing != RACING:
            continue
        if best < 0 or bid.bid_fee > state.bids[best].bid_fee:
            best = np.int64(i)
        elif bid.bid_fee == state.bids[best].bid_fee and bid.key < state.bids[best].key:
            best = np.int64(i)
    return best


@kernel()
def end_race(state, contested):
    """Whoever still races has lost (if there was anything to win); clear the marks. Mutates bids, wallets."""
    for i in range(state.meta[M_BIDS]):
        if contested and state.bids[i].racing == RACING:
            come_too_late(state, i)
        state.bids[i].racing = NOT_RACING


@kernel()
def hand_over(state, account, i, k, lots, price, value, paid):
    """Book a take-over by offer i: the account gives up lots for ``value``, the liquidator pays ``paid``.

    The difference is the protocol's and goes to the fund. Values are signed as a buyer's cost (see
    :mod:`sim.kernels.ledger`), in the settlement currency.

    Args:
        state: the market; mutates both accounts, the fund, the offer, counters.
        account: who is liquidated.
        i: number of the offer.
        k: contract index.
        lots: lots that change hands, positive.
        price: of the account, sub-ticks, for the tape.
        value: what the account gets.
        paid: what the liquidator gives.
    """
    held = 1 if state.positions[account, k].lots > 0 else -1
    bidder = np.int64(state.bids[i].account)
    book_trade(state, account, k, -held, lots, value)
    book_trade(state, bidder, k, held, lots, paid)
    touch(state, account)
    touch(state, bidder)
    if paid != value:
        credit_in(
            state, state.meta[M_TRADERS] + OFFSET_FUND, np.int64(state.contracts[k].currency), held * (paid - value)
        )
    state.meta[M_LEDGER_FLOW] += lots
    state.meta[M_FLOW] += lots
    state.bids[i].lots -= lots
    if state.bids[i].lots <= 0:
        state.bids[i].used = 1
    count_liquidated(state, account, k, lots)
    record_event(state, EV_BID_TAKEN, k, account, bidder, held * lots, price, value)


@kernel(RACE)
def race(state, account, contract, k, lots, price, net, gain, evaluate):
    """Liquidators race for lots of contract k at one price.

    In the race is who can reach the account, asks for no more than the gain, and keeps at least its smallest profit
    after gas and priority fee on the lots it can carry. Transactions are executed in the order of their fees; each
    takes what is left for it. Who finds too little left pays for a failed transaction. In an auction the race ends
    when the account is above maintenance.

    Args:
        state: the market; mutates bids, accounts, counters.
        account: who is liquidated.
        contract: -1 (cross) or the isolated contract; names the pocket that pays the liquidation fee.
        k: contract index.
        lots: most lots to hand over (positive).
        price: what the account gets, sub-ticks.
        net: what a liquidator pays, sub-ticks; the difference is the protocol's.
        gain: a liquidator's gain as part of the value at mark, 2**-32.
        evaluate: compiled requirement.

    Returns:
        Lots handed over.
    """
    held = 1 if state.positions[account, k].lots > 0 else -1
    racers = 0
    for i in range(state.meta[M_BIDS]):
        state.bids[i].racing = NOT_RACING
        bid = state.bids[i]
        if bid.discount > gain or bid.account == account or not in_reach(state, i, account, k, held):
            continue
        bidder = np.int64(bid.account)
        free = free_margin(state, bidder, evaluate) - bid.gas
        part = _carries(state, i, k, held, net, lots, free)
        if part <= 0:
            continue
        left = mul_shift_floor(notional_of(state, k, part), gain - bid.discount, 32) - bid.gas
        fee = priority_fee(state, i, left)
        if fee > 0:
            part = _carries(state, i, k, held, net, lots, free - fee)
            left = mul_shift_floor(notional_of(state, k, part), gain - bid.discount, 32) - bid.gas
        if part <= 0 or left - fee < bid.least:
            continue
        state.bids[i].racing = RACING
        state.bids[i].bid_fee = fee
        state.bids[i].key = race_key(state, account, bidder)
        racers += 1
    if racers == 0:
        return np.int64(0)
    auctioned = state.policy[LP_OUTLET] == OUTLET_AUCTION
    given = np.int64(0)
    while given < lots:
        i = front_runner(state)
        if i < 0:
            break
        bid = state.bids[i]
        bidder = np.int64(bid.account)
        costs = bid.gas + bid.bid_fee
        part = _carries(state, i, k, held, net, lots - given, free_margin(state, bidder, evaluate) - costs)
        left = np.int64(-1)
        if part > 0:
            left = mul_shift_floor(notional_of(state, k, part), gain - bid.discount, 32) - costs
        if left < bid.least:
            come_too_late(state, i)
            continue
        state.bids[i].racing = HAD_ITS_TURN
        wallet = state.wallets[account, 0]
        value = value_at(state, k, part, price)
        hand_over(state, account, i, k, part, price, value, value_at(state, k, part, net))
        pay_costs(state, bidder, costs)
        given += part
        charge_penalty(state, account, contract, abs(value), k, wallet)
        if auctioned and own_equity(state, account, contract) >= evaluate(state, account, contract, MAINTENANCE):
            break
    end_race(state, given > 0)
    return given


@kernel(OF_POSITION)
def bonus_of(state, account, contract, evaluate):
    """Discount at which liquidators take over, 2**-32: it grows as the account falls below maintenance.

    ``min(bonus + slope x (1 - equity / maintenance), most)``, the rising bonus of Aave v4; with slope 0 the fixed
    bonus of Aave v3.
    """
    bonus = state.policy[LP_BONUS]
    if state.policy[LP_BONUS_SLOPE] > 0:
        required = evaluate(state, account, contract, MAINTENANCE)
        if required > 0:
            own = max(min(own_equity(state, account, contract), required), -_LOWEST_RATIO * required)
            below = RATE_ONE - mul_div_floor(own, RATE_ONE, required)
            bonus += mul_shift_floor(below, state.policy[LP_BONUS_SLOPE], 32)
    return min(max(bonus, np.int64(0)), state.policy[LP_BONUS_MOST])


@kernel(SELL_TO_BIDS)
def _sell_at_bonus(state, account, contract, k, lots, limit, evaluate):
    """Liquidators race for the lots at the policy's discount; the protocol keeps its share of it."""
    held = 1 if state.positions[account, k].lots > 0 else -1
    mark = state.quotes[k].mark
    bonus = bonus_of(state, account, contract, evaluate)
    own = bonus - mul_rate(bonus, state.policy[LP_PROTOCOL_SHARE])
    price = max(mark - held * mul_shift_floor(mark, bonus, 32), np.int64(1))
    net = max(mark - held * mul_shift_floor(mark, own, 32), np.int64(1))
    if held * (price - limit * 16) < 0:
        return np.int64(0)
    return race(state, account, contract, k, lots, price, net, own, evaluate)


@kernel(SELL_TO_BIDS)
def sell_to_bids(state, account, contract, k, lots, limit, evaluate):
    """Hand lots of contract k to liquidators, while the price beats the forced limit.

    A long is taken over at mark x (1 - discount), a short at mark x (1 + discount), for as many lots as the
    liquidator's account can carry with its free margin at the initial rate. The discount is the policy's where the
    outlet is ``liquidators`` (see :func:`race`); else each offer's own, best first.

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
    if state.policy[LP_OUTLET] == OUTLET_LIQUIDATORS:
        return _sell_at_bonus(state, account, contract, k, lots, limit, evaluate)
    held = 1 if state.positions[account, k].lots > 0 else -1
    mark = state.quotes[k].mark
    given = np.int64(0)
    for i in range(state.meta[M_BIDS]):
        state.bids[i].racing = NOT_RACING
    while given < lots:
        i = _best_bid(state, account, k, held)
        if i < 0:
            break
        bid = state.bids[i]
        price = mark - held * mul_shift_floor(mark, bid.discount, 32)  # sub-ticks
        if held * (price - limit * 16) < 0:
            break
        bidder = np.int64(bid.account)
        free = free_margin(state, bidder, evaluate) if bidder != account else np.int64(0)
        part = _carries(state, i, k, held, price, lots - given, free - bid.gas)
        costs = np.int64(0)
        if part > 0 and bid.gas + bid.fee + bid.least > 0:
            left = mul_shift_floor(notional_of(state, k, part), bid.discount, 32) - bid.gas
            fee = priority_fee(state, i, left)
            costs = bid.gas + fee
            part = _carries(state, i, k, held, price, part, free - costs)
            if part > 0 and mul_shift_floor(notional_of(state, k, part), bid.discount, 32) - costs < bid.least:
                state.bids[i].racing = HAD_ITS_TURN  # this account is not worth its costs
                continue
        if part <= 0:
            state.bids[i].used = 1
            continue
        wallet = state.wallets[account, 0]
        value = value_at(state, k, part, price)
        hand_over(state, account, i, k, part, price, value, value)
        pay_costs(state, bidder, costs)
        given += part
        charge_penalty(state, account, contract, abs(value), k, wallet)
    return given
