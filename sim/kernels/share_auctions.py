"""Auction of a share of the whole account, as on Derive.

With MtM the account's value E (equity), MM = E - M (value less maintenance requirement) and the buffered margin
BM = MM + buffer x (MM - MtM) = E - (1 + buffer) M, a bidder takes a fraction f of everything that the account holds
except the cash R that earlier bidders paid in, for ``f (E - R) d``. The factor d falls from ``start`` to ``fast_end``
linearly over the fast leg and to zero over the slow one. At most the fraction that brings BM back to zero is for sale:

    f_max = BM / (BM - E d - R (1 - d))

In this ledger cash stays where it is: positions move at mark less the bidder's gain ``f (E - R) (1 - d)``, which leaves
both accounts with the value that the exchange of cash for cash and positions would leave them with.

An insolvent account (E - R <= 0) has nothing to sell. Its taker is paid an amount that grows from -MtM to -MM linearly:
positions move at mark plus ``f M x elapsed / length`` in the taker's favour, and what the account ends short of is
covered by the waterfall.

Source: derivexyz/v2-core, src/liquidation/DutchAuction.sol.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.auction_rows import BID, close_auction, lots_on_sale, open_row, restart
from sim.kernels.bids import (
    HAD_ITS_TURN,
    NOT_RACING,
    RACING,
    come_too_late,
    end_race,
    free_margin,
    front_runner,
    hand_over,
    in_reach,
    pay_costs,
    priority_fee,
    race_key,
)
from sim.kernels.breakers import halted
from sim.kernels.charges import position_charge
from sim.kernels.events import record_event
from sim.kernels.jit import kernel
from sim.kernels.penalty import own_equity
from sim.kernels.schedule import FLAT, S_KIND
from sim.kernels.state import (
    EV_AUCTION,
    INITIAL,
    ISOLATED,
    LP_AUCTION_BUFFER,
    LP_AUCTION_FAST,
    LP_AUCTION_FAST_END,
    LP_AUCTION_FEE,
    LP_AUCTION_INSOLVENT,
    LP_AUCTION_SLOW,
    LP_AUCTION_START,
    M_BIDS,
    M_CONTRACTS,
    M_LAYOUT,
    M_STEP,
    MAINTENANCE,
    OF_POSITION,
    RATE_ONE,
    SHARE_RACE,
    TERMS,
)
from sim.kernels.values import in_account_currency, is_option, notional_of, size_at, value_at
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor


@kernel()
def discount_factor(state, elapsed):
    """Part of the account's value that a bid pays after some steps, 2**-32."""
    start, end = state.policy[LP_AUCTION_START], state.policy[LP_AUCTION_FAST_END]
    fast, slow = state.policy[LP_AUCTION_FAST], state.policy[LP_AUCTION_SLOW]
    if elapsed < fast:
        return start - mul_div_floor(start - end, elapsed, fast)
    if elapsed - fast >= slow:
        return np.int64(0)
    return end - mul_div_floor(end, elapsed - fast, slow)


@kernel()
def gross_value(state, account, contract):
    """Value at mark of what is on sale, account currency, at least one."""
    total = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        if contract < 0 or k == contract:
            total += notional_of(state, k, abs(state.positions[account, k].lots))
    return max(total, np.int64(1))


@kernel(TERMS)
def terms(state, account, contract, i, evaluate):
    """What auction i offers for the whole account now.

    Returns:
        The taker's gain against the mark before fees; the cash of the bid (0 when insolvent); the largest fraction,
        2**-32. Minor units of the account currency.
    """
    own = own_equity(state, account, contract)
    required = evaluate(state, account, contract, MAINTENANCE)
    elapsed = state.meta[M_STEP] - np.int64(state.auctions[i].start)
    kept = state.auctions[i].paid
    if own - kept <= 0:
        length = state.policy[LP_AUCTION_INSOLVENT]
        gain = required if elapsed >= length else mul_div_floor(required, elapsed, length)
        return gain, np.int64(0), np.int64(RATE_ONE)
    cash = mul_shift_floor(own - kept, discount_factor(state, elapsed), 32)
    short = required + mul_rate(required, state.policy[LP_AUCTION_BUFFER]) - own
    most = np.int64(0)
    if short > 0:
        most = mul_div_floor(short, RATE_ONE, short + kept + cash)
    return own - kept - cash, cash, most


@kernel()
def _lead(state, account, contract):
    """Contract of the largest value on sale; offers for it stand for their liquidators' transactions. -1: none."""
    best, largest = np.int64(-1), np.int64(-1)
    for k in range(state.meta[M_CONTRACTS]):
        lots = abs(state.positions[account, k].lots)
        if lots != 0 and (contract < 0 or k == contract):
            value = notional_of(state, k, lots)
            if value > largest:
                best, largest = np.int64(k), value
    return best


@kernel()
def _offer_of(state, account, bidder, k, side):
    """A bidder's open offer for positions of ``side`` in contract k, -1 if it has none."""
    for i in range(state.meta[M_BIDS]):
        if state.bids[i].account == bidder and in_reach(state, i, account, k, side):
            return np.int64(i)
    return np.int64(-1)


@kernel()
def _margin_for(state, bidder, k, side, lots):
    """Initial margin that a bidder needs for more lots of a side, account currency."""
    currency = np.int64(state.contracts[k].currency)
    if state.tiers[k, 0, S_KIND] == FLAT and not is_option(state, k):
        value = size_at(state, k, lots, state.quotes[k].mark)
        return in_account_currency(state, currency, mul_rate(value, state.rate_initial[k]))
    own = state.positions[bidder, k].lots
    after = position_charge(state, k, INITIAL, own + side * lots, np.int64(0))
    return max(
        in_account_currency(state, currency, after)
        - in_account_currency(state, currency, position_charge(state, k, INITIAL, own, np.int64(0))),
        np.int64(0),
    )


@kernel()
def _needs(state, account, contract, bidder, fraction):
    """Initial margin of a fraction of what is on sale, leg by leg."""
    total = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        held = state.positions[account, k].lots
        if held != 0 and (contract < 0 or k == contract):
            total += _margin_for(state, bidder, k, 1 if held > 0 else -1, mul_rate(abs(held), fraction))
    return total


@kernel()
def _affordable(state, account, contract, bidder, most, free):
    """Largest fraction up to ``most`` that a bidder wants and can carry, 2**-32; every leg needs an offer."""
    if free <= 0:
        return np.int64(0)
    fraction = most
    for k in range(state.meta[M_CONTRACTS]):
        held = state.positions[account, k].lots
        if held == 0 or (contract >= 0 and k != contract):
            continue
        side = 1 if held > 0 else -1
        j = _offer_of(state, account, bidder, k, side)
        if j < 0:
            return np.int64(0)
        room = min(state.bids[j].lots, state.contracts[k].max_lots - abs(state.positions[bidder, k].lots))
        if room < mul_rate(abs(held), fraction):
            fraction = mul_div_floor(max(room, np.int64(0)), RATE_ONE, abs(held))
    if _needs(state, account, contract, bidder, fraction) <= free:
        return fraction
    fits, too_much = np.int64(0), fraction
    while too_much - fits > 1:
        middle = (fits + too_much) // 2
        if _needs(state, account, contract, bidder, middle) <= free:
            fits = middle
        else:
            too_much = middle
    return fits


@kernel()
def _left(state, account, contract, bidder, fraction, gain, gross):
    """What a bidder keeps of its gain beyond the discounts that it asks for, before gas and fee, minor units.

    Args:
        state: the market.
        account: who is liquidated.
        contract: -1 or the isolated contract.
        bidder: the liquidator.
        fraction: share that it takes, 2**-32.
        gain: for the whole account, after the auction fee.
        gross: value at mark of all that is on sale.
    """
    total = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        held = state.positions[account, k].lots
        if held == 0 or (contract >= 0 and k != contract):
            continue
        value = notional_of(state, k, mul_rate(abs(held), fraction))
        j = _offer_of(state, account, bidder, k, 1 if held > 0 else -1)
        total += mul_div_floor(gain, value, gross) - mul_shift_floor(value, state.bids[j].discount, 32)
    return total


@kernel()
def _in_settlement(state, k, amount):
    """An amount >= 0 of the account currency in the settlement currency of a contract, rounded down."""
    currency = state.contracts[k].currency
    if currency == 0:
        return amount
    return mul_div_floor(amount, RATE_ONE, max(state.conversion[currency], np.int64(1)))


@kernel()
def _move(state, account, contract, bidder, fraction, gain, fee, gross):
    """Hand over a fraction of every position at mark less the gain; the fee is paid on top. Returns lots."""
    moved = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots == 0 or (contract >= 0 and k != contract):
            continue
        held = 1 if lots > 0 else -1
        part = mul_rate(abs(lots), fraction)
        here = notional_of(state, k, part)
        mark = state.quotes[k].mark
        value = value_at(state, k, part, mark) - held * _in_settlement(state, k, mul_div_floor(gain, here, gross))
        paid = value + held * _in_settlement(state, k, mul_div_floor(fee, here, gross))
        hand_over(state, account, _offer_of(state, account, bidder, k, held), k, part, mark, value, paid)
        moved += part
    return moved


@kernel(SHARE_RACE)
def _race(state, account, contract, row, lead, evaluate):
    """Liquidators race for shares of the account; returns lots that changed hands. Mutates bids and accounts."""
    fee_rate = state.policy[LP_AUCTION_FEE]
    side = 1 if state.positions[account, lead].lots > 0 else -1
    gross = gross_value(state, account, contract)
    gain, cash, most = terms(state, account, contract, row, evaluate)
    net = gain - mul_rate(cash, fee_rate)
    racers = 0
    for i in range(state.meta[M_BIDS]):
        state.bids[i].racing = NOT_RACING
        bid = state.bids[i]
        if most <= 0 or net < 0 or bid.account == account or not in_reach(state, i, account, lead, side):
            continue
        bidder = np.int64(bid.account)
        if _offer_of(state, account, bidder, lead, side) != i:
            continue  # one transaction each
        free = free_margin(state, bidder, evaluate) - bid.gas
        fraction = _affordable(state, account, contract, bidder, most, free)
        if fraction <= 0:
            continue
        left = _left(state, account, contract, bidder, fraction, net, gross) - bid.gas
        fee = priority_fee(state, i, left)
        if fee > 0:
            fraction = _affordable(state, account, contract, bidder, most, free - fee)
            if fraction <= 0:
                continue
            left = _left(state, account, contract, bidder, fraction, net, gross) - bid.gas
        if left - fee < bid.least:
            continue
        state.bids[i].racing = RACING
        state.bids[i].bid_fee = fee
        state.bids[i].key = race_key(state, account, bidder)
        racers += 1
    moved = np.int64(0)
    while racers > 0:
        i = front_runner(state)
        if i < 0 or state.positions[account, lead].lots == 0:
            break
        if own_equity(state, account, contract) >= evaluate(state, account, contract, MAINTENANCE):
            break
        bid = state.bids[i]
        bidder = np.int64(bid.account)
        costs = bid.gas + bid.bid_fee
        gross = gross_value(state, account, contract)
        gain, cash, most = terms(state, account, contract, row, evaluate)
        fee = mul_rate(cash, fee_rate)
        fraction = _affordable(state, account, contract, bidder, most, free_margin(state, bidder, evaluate) - costs)
        left = np.int64(-1)
        if fraction > 0:
            left = _left(state, account, contract, bidder, fraction, gain - fee, gross) - costs
        if left < bid.least:
            come_too_late(state, i)
            continue
        state.bids[i].racing = HAD_ITS_TURN
        part = _move(state, account, contract, bidder, fraction, gain, fee, gross)
        pay_costs(state, bidder, costs)
        bought = mul_div_floor(cash, max(gross - gross_value(state, account, contract), np.int64(0)), gross)
        if state.meta[M_LAYOUT] != ISOLATED:  # a pocket passes on to the wallet what its closed part leaves
            state.auctions[row].paid += bought
        record_event(state, EV_AUCTION, contract, account, BID, part, bought, bidder)
        moved += part
    end_race(state, moved > 0)
    return moved


@kernel(OF_POSITION)
def share_auction(state, account, contract, evaluate):
    """One round of the auction of an account's share: opens or restarts it, lets liquidators race, closes it.

    It restarts as solvent or insolvent when the sign of what is on sale (E - R) turns.

    Returns:
        Lots that changed hands.
    """
    row = np.int64(state.accounts[account].auction)
    if row >= 0 and contract >= 0 and state.auctions[row].contract != contract:
        return np.int64(0)  # one auction at a time: the other position waits
    own = own_equity(state, account, contract)
    if row < 0:
        row = open_row(state, account, contract, own)
    value = own - state.auctions[row].paid
    if (value > 0) != (state.auctions[row].price > 0):
        restart(state, row, value)
    for k in range(state.meta[M_CONTRACTS]):
        if state.positions[account, k].lots != 0 and (contract < 0 or k == contract) and halted(state, k):
            return np.int64(0)  # every leg must move
    lead = _lead(state, account, contract)
    if lead < 0:
        close_auction(state, account)
        return np.int64(0)
    moved = _race(state, account, contract, row, lead, evaluate)
    if moved > 0 and (
        lots_on_sale(state, account, contract) == 0
        or own_equity(state, account, contract) >= evaluate(state, account, contract, MAINTENANCE)
    ):
        close_auction(state, account)
    return moved
