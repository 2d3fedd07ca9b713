"""Arrival order and admission: every message passes price band, lot, position limit and initial margin.

Admission of the whole batch comes before any of it is matched, on the account's state and marks at the start of the
step plus its own earlier messages, so it depends on the account alone. What is admitted is reserved; cancelled lots
stay reserved until they are cancelled in the match, because an earlier arrival may still fill them.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.book import find
from sim.kernels.breakers import band_bottom, band_top, halted
from sim.kernels.events import record_event
from sim.kernels.held import hold
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.keyed import philox
from sim.kernels.ledger import OFFSET_FEES, charge, equity
from sim.kernels.marks import expired
from sim.kernels.sorting import sort_uniform
from sim.kernels.state import (
    BUY,
    CANCEL,
    CANCEL_ALL,
    CLOSED,
    CROSS,
    EV_REFUSED,
    EXCESS,
    INITIAL,
    IOC,
    M_CONTRACTS,
    M_HALTED,
    M_LAYOUT,
    M_MESSAGES,
    M_ORDERING,
    M_RECORD_REFUSALS,
    M_REFUSALS,
    M_SEED,
    M_STEP,
    M_TRADERS,
    MARKET,
    NEW,
    OK,
    ORDER_PRIORITY_FEE,
    R_BAND,
    R_CLOSED,
    R_EXPIRED,
    R_HALTED,
    R_LOT,
    R_MARGIN,
    R_MESSAGE,
    R_POSITION_LIMIT,
    R_REDUCE_ONLY,
    R_UNCOVERED,
    R_UNKNOWN_ORDER,
    R_UNLISTED,
    REDUCE_ONLY,
    REFUSE,
    REPLACE,
    SPOT,
    WITH_EVALUATOR,
)
from sim.kernels.values import band_width, is_inverse
from sim.kernels.wide import mul_rate


@kernel()
def charge_priority_fees(state):
    """Everybody pays the fees of his messages, accepted or not, as far as he has money. Mutates wallets."""
    fees = state.meta[M_TRADERS] + OFFSET_FEES
    for i in range(state.meta[M_MESSAGES]):
        fee, account = state.messages[i].fee, np.int64(state.messages[i].account)
        if fee > 0 and account < state.meta[M_TRADERS]:
            purse = equity(state, account) if state.meta[M_LAYOUT] == CROSS else state.wallets[account, 0]
            fee = min(fee, max(purse, np.int64(0)))
            state.messages[i].fee = fee
            charge(state, account, fees, 0, fee)
            touch(state, account)


@kernel()
def _sort_by_fee(state, n):
    """Sort ``arrival[:n]`` by fee, highest first; equal fees keep their order (merge sort). Mutates scratch arrays.

    A message counts with the least fee among its account's messages up to it: no message can be included before one
    that its sender sent earlier, whatever it bids, and an account's own messages keep their order.
    """
    least, order, spare = state.sort_keys, state.arrival, state.sort_ids
    for i in range(n):
        if state.messages[i].seq == 0:
            bid, at = np.int64(state.messages[i].fee), np.int64(i)
            while at >= 0:
                bid = max(min(bid, np.int64(state.messages[at].fee)), np.int64(0))
                least[at] = np.uint64(bid)
                at = np.int64(state.messages[at].own_next)
    width = 1
    while width < n:
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            left, right = low, middle
            for place in range(low, high):
                if left < middle and (right >= high or least[order[left]] >= least[order[right]]):
                    spare[place] = order[left]
                    left += 1
                else:
                    spare[place] = order[right]
                    right += 1
        for place in range(n):
            order[place] = spare[place]
        width *= 2


@kernel()
def arrival_order(state, stream):
    """Write the arrival order of this step's messages into ``state.arrival[:n]``.

    The k-th message of an account has the key u(seed, "arrival", step, account, k); an account's keys are sorted onto
    its messages, so its own messages keep their order while bursts interleave with others'. With the ordering
    ``priority_fee`` the running minimum of an account's fees comes before the key, higher first, and fees are paid.

    Args:
        state: the market; mutates ``messages.key``, ``arrival``, ``accounts.message_head``, wallets.
        stream: number of the arrival stream.
    """
    n = state.meta[M_MESSAGES]
    messages = state.messages
    order = state.arrival
    seed, step = state.meta[M_SEED], state.meta[M_STEP]
    keys, ids = state.sort_keys, state.sort_ids
    for i in range(n):
        k = messages[i].seq
        words = philox(seed, stream, step, np.int64(messages[i].account), np.int64(k >> 2))
        key = words[0]
        if k & 3 == 1:
            key = words[1]
        elif k & 3 == 2:
            key = words[2]
        elif k & 3 == 3:
            key = words[3]
        messages[i].key = key
        keys[i] = key
        ids[i] = messages[i].account
    sort_uniform(keys, ids, order, state.sort_counts, n)
    if state.meta[M_ORDERING] == ORDER_PRIORITY_FEE:
        charge_priority_fees(state)
        _sort_by_fee(state, n)
    for i in range(n):
        account = messages[order[i]].account
        head = state.accounts[account].message_head
        order[i] = head
        state.accounts[account].message_head = messages[head].own_next


@kernel()
def band_low(state, contract):
    """Lowest price of a sell order, ticks (inside the band around the mark, and that of the breaker)."""
    mark = state.quotes[contract].mark
    below = band_width(state, contract)
    return max((mark - below + 15) >> 4, band_bottom(state, contract), np.int64(1))


@kernel()
def band_high(state, contract):
    """Highest price of a buy order, ticks."""
    mark = state.quotes[contract].mark
    above = band_width(state, contract)
    return min((mark + above) >> 4, band_top(state, contract))


@kernel()
def own_loss(state, contract, side, price):
    """Loss per lot, minor units rounded up, of a fill at ``price`` (ticks) against the mark; never negative.

    An order to buy spot reserves its whole price with the fee, so that the cash is there when it fills.
    """
    mark = state.quotes[contract].mark
    if side == BUY and state.contracts[contract].kind == SPOT:
        value = price * state.contracts[contract].tick_value
        return value + mul_rate(value, max(state.contracts[contract].fee_taker, state.contracts[contract].fee_maker, 0))
    gap = side * (price * 16 - mark)
    if gap <= 0:
        return np.int64(0)
    if is_inverse(state, contract):
        return -((-gap * state.contracts[contract].tick_value) // (mark * price))
    return (gap * state.contracts[contract].tick_value + 15) >> 4


@kernel()
def _check_form(state, i):
    """Reason why a NEW or REPLACE message is malformed, or OK. Fills in the price of market orders."""
    message = state.messages[i]
    contract = message.contract
    if contract < 0 or contract >= state.meta[M_CONTRACTS]:
        return R_MESSAGE
    if expired(state, contract):
        return R_EXPIRED
    listing = state.contracts[contract].listing
    if listing > 0 and state.meta[M_STEP] <= listing:
        return R_UNLISTED
    if state.meta[M_HALTED] != 0 and halted(state, contract):
        return R_HALTED
    if message.quantity < 1 or message.quantity > state.contracts[contract].max_lots:
        return R_LOT
    side = message.side
    if side != 1 and side != -1:
        return R_MESSAGE
    if message.flags & MARKET:
        state.messages[i].price = band_high(state, contract) if side == BUY else band_low(state, contract)
        state.messages[i].tif = max(message.tif, IOC) if message.tif != 3 else IOC
    price = state.messages[i].price
    if price < 1 or price > state.contracts[contract].max_price:
        return R_BAND
    if side == BUY:
        if price > band_high(state, contract):
            return R_BAND
    elif price < band_low(state, contract):
        return R_BAND
    return OK


@kernel()
def _covered(state, account, contract, side):
    """True when a trader's cash (to buy spot) or coins (to sell it) cover all his open spot orders that need them."""
    if account >= state.meta[M_TRADERS]:
        return True
    terms = state.contracts[contract]
    needed = np.int64(0)
    for c in range(state.meta[M_CONTRACTS]):
        other = state.contracts[c]
        if other.kind != SPOT:
            continue
        if side == BUY and other.currency == terms.currency:
            needed += state.positions[account, c].loss_buy
        elif side != BUY and other.base_currency == terms.base_currency:
            needed += state.positions[account, c].open_sell * other.base_lot
    if needed == 0:
        return True
    return needed <= state.wallets[account, terms.currency if side == BUY else terms.base_currency]


@kernel()
def limit_reached(state, account, contract, side):
    """OK, or the reason why the open orders of this side, filled, would go beyond position limit or spot cover."""
    position = state.positions[account, contract]
    limit = state.contracts[contract].max_lots
    if (position.lots + position.open_buy if side == BUY else position.open_sell - position.lots) > limit:
        return R_POSITION_LIMIT
    if state.contracts[contract].kind == SPOT and not _covered(state, account, contract, side):
        return R_UNCOVERED
    return OK


@kernel()
def reserve_message(state, i, sign):
    """Add (sign 1) or take back (sign -1) what message i reserves."""
    message = state.messages[i]
    hold(state, np.int64(message.account), np.int64(message.contract))
    if message.side == BUY:
        state.positions[message.account, message.contract].open_buy += sign * message.reserved
        state.positions[message.account, message.contract].loss_buy += sign * message.reserved_loss
    else:
        state.positions[message.account, message.contract].open_sell += sign * message.reserved
        state.positions[message.account, message.contract].loss_sell += sign * message.reserved_loss


@kernel(EXCESS)
def excess(state, account, evaluate):
    """Equity (cross) or wallet (isolated) beyond the initial requirement, open orders included, minor units."""
    if state.meta[M_LAYOUT] == CROSS:
        return equity(state, account) - evaluate(state, account, -1, INITIAL)
    return state.wallets[account, 0] - evaluate(state, account, -1, INITIAL)


@kernel()
def prepare(state, i):
    """Check everything but margin and work out what message i reserves.

    Returns:
        OK, or the reason of refusal. Mutates the message only.
    """
    message = state.messages[i]
    account = message.account
    if message.kind == CANCEL_ALL:
        return OK
    if message.kind == CANCEL:
        slot = find(state, message.ref)
        if slot < 0 or state.orders[slot].account != account:
            return R_UNKNOWN_ORDER
        return OK
    if state.accounts[account].status == CLOSED:
        return R_CLOSED
    if message.kind == NEW:
        reason = _check_form(state, i)
        if reason != OK:
            return reason
        contract, side = np.int64(message.contract), np.int64(message.side)
        if message.flags & REDUCE_ONLY:
            reducible = -side * state.positions[account, contract].lots
            if reducible <= 0:
                return R_REDUCE_ONLY
            if message.quantity > reducible:
                state.messages[i].quantity = reducible
        loss = own_loss(state, contract, side, np.int64(state.messages[i].price))
        state.messages[i].loss = loss
        state.messages[i].reserved = state.messages[i].quantity
        state.messages[i].reserved_loss = loss * state.messages[i].quantity
        return OK
    if message.kind == REPLACE:
        slot = find(state, message.ref)
        if slot < 0 or state.orders[slot].account != account:
            return R_UNKNOWN_ORDER
        state.messages[i].contract = state.orders[slot].contract
        state.messages[i].side = state.orders[slot].side
        state.messages[i].flags = state.orders[slot].flags
        reason = _check_form(state, i)
        if reason != OK:
            return reason
        quantity = state.messages[i].quantity
        contract, side = np.int64(state.messages[i].contract), np.int64(state.messages[i].side)
        loss = own_loss(state, contract, side, np.int64(message.price))
        open_lots = state.orders[slot].quantity
        state.messages[i].loss = loss
        state.messages[i].open_at_admission = open_lots
        state.messages[i].reserved = max(quantity - open_lots, 0)
        state.messages[i].reserved_loss = max(quantity * loss - open_lots * state.orders[slot].loss, 0)
        return OK
    return R_MESSAGE


@kernel(REFUSE)
def refuse(state, i, reason):
    """Put a refusal on the tape."""
    state.messages[i].accepted = 0
    state.meta[M_REFUSALS] += 1
    if state.meta[M_RECORD_REFUSALS] != 0:
        message = state.messages[i]
        record_event(
            state, EV_REFUSED, message.contract, message.account, reason, message.kind, message.price, message.quantity
        )


@kernel(WITH_EVALUATOR)
def admit(state, evaluate):
    """Admit or refuse every message in arrival order, with a compiled evaluator.

    A message is accepted iff the account's excess after it is not negative, or its shortfall does not grow.

    Args:
        state: the market; mutates messages (accepted, reserve) and the reserves of position rows.
        evaluate: compiled requirement of the margin model.
    """
    for k in range(state.meta[M_MESSAGES]):
        i = state.arrival[k]
        reason = prepare(state, i)
        if reason != OK:
            refuse(state, i, reason)
            continue
        kind = state.messages[i].kind
        if kind == CANCEL or kind == CANCEL_ALL:
            state.messages[i].accepted = 1
            continue
        account = np.int64(state.messages[i].account)
        reserve_message(state, i, 1)
        reason = limit_reached(state, account, np.int64(state.messages[i].contract), np.int64(state.messages[i].side))
        if reason != OK:
            reserve_message(state, i, -1)
            refuse(state, i, reason)
            continue
        if account < state.meta[M_TRADERS] and state.messages[i].flags & REDUCE_ONLY == 0:
            after = excess(state, account, evaluate)
            if after < 0:
                reserve_message(state, i, -1)
                before = excess(state, account, evaluate)
                if after < before:
                    refuse(state, i, R_MARGIN)
                    continue
                reserve_message(state, i, 1)
        state.messages[i].accepted = 1
