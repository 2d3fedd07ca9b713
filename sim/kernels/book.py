"""The order book: price-time priority over all contracts of a market, on one pool of orders and one tape.

Reserves: the book releases what a *resting* order had reserved when its lots trade, are cancelled or expire. What an
incoming order (or the one that is being replaced) had reserved is its sender's affair, settled by the caller from what
rests afterwards. With ``meta[M_LEDGER] == 0`` the book stands alone: no reserves, no positions, and reduce-only is not
looked at, as there is nothing to reduce.

This module is the face of the book: ids, cancels and chains are in :mod:`sim.kernels.orders`, prices and bitmaps in
:mod:`sim.kernels.ladder`, read-only questions in :mod:`sim.kernels.depth`. Pool, tape and ladder are doubled when they
are full: an array read from the state is stale after a call that says it may replace it.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.depth import (
    best_price,
    cost_to_fill,
    depth_at,
    depth_within,
    fillable,
    levels_of,
    next_ask_above,
    next_bid_below,
    next_worse,
    orders_at,
    reducible,
    sweep,
)
from sim.kernels.events import record_event
from sim.kernels.jit import kernel
from sim.kernels.ladder import integers, make_room
from sim.kernels.ledger import apply_fill
from sim.kernels.moves import note_quotes, note_trade
from sim.kernels.orders import (
    cancel,
    cancel_all,
    cancel_slot,
    dequeue,
    enqueue,
    find,
    free_slot,
    join,
    order_id,
    release_lots,
    retire,
    schedule,
    take_slot,
)
from sim.kernels.state import (
    BUY,
    EV_EXPIRED,
    EV_STP,
    FILL,
    FOK,
    IOC,
    M_ACCOUNTS,
    M_CONTRACTS,
    M_FILLS,
    M_FILLS_TOTAL,
    M_FLOW,
    M_LEDGER,
    M_RECORD_CAUSES,
    M_RECORD_REFUSALS,
    M_STATUS,
    M_STATUS_A,
    M_STATUS_B,
    M_STEP,
    M_STP,
    MARKET,
    NO_PRICE,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    ST_LADDER,
    STP_CANCEL_BOTH,
    STP_CANCEL_RESTING,
    STP_OFF,
)

__all__ = [
    "INVALID", "NOTHING_RESTS", "NOT_FILLABLE", "UNKNOWN_ORDER", "WOULD_CROSS", "best_price", "cancel", "cancel_all",
    "cancel_slot", "cost_to_fill", "depth_at", "depth_within", "expire", "fillable", "find", "levels_of",
    "next_ask_above", "next_bid_below", "next_worse", "order_id", "orders_at", "reducible", "replace", "submit",
    "sweep",
]  # fmt: skip

# What ``submit`` and ``replace`` return instead of an order id
NOTHING_RESTS = -1  # traded, killed or cancelled to the last lot
WOULD_CROSS = -2  # post-only refused
NOT_FILLABLE = -3  # fill-or-kill refused
INVALID = -4  # price, size, side, contract or account out of range; ``meta[M_STATUS]`` is set
UNKNOWN_ORDER = -5  # replace: no live order has this id

_CAUSE_SHIFT = 4  # the cause of an order is kept above its flags


# ---------------------------------------------------------------------------------------------------------------------
# Matching


@kernel()
def _grow_fills(state):
    """Double the tape. Replaces ``fills``."""
    old = state.fills
    larger = np.zeros(2 * old.shape[0], FILL)
    for row in range(old.shape[0]):
        larger[row] = old[row]
    state.fills = larger


@kernel()
def _fill(state, slot, quantity, taker, taker_id, cause, cause_ref):
    """Trade lots of a resting order: tape, quote, level, reserve, ledger. The order stays in its queue.

    May replace ``fills``; with the ledger on it mutates both accounts.
    """
    meta = state.meta
    row = meta[M_FILLS]
    if row == state.fills.shape[0]:
        _grow_fills(state)
    meta[M_FILLS] = row + 1
    meta[M_FILLS_TOTAL] += 1
    meta[M_FLOW] += quantity
    order = state.orders[slot]
    contract = np.int64(order.contract)
    price = np.int64(order.price)
    fill = state.fills[row]
    fill.step = meta[M_STEP]
    fill.contract = contract
    fill.side = -order.side
    fill.cause = cause
    fill.price = price
    fill.maker = order.account
    fill.taker = taker
    fill.cause_ref = cause_ref
    fill.quantity = quantity
    fill.maker_order = order_id(state, slot)
    fill.taker_order = taker_id
    quote = state.quotes[contract]
    quote.last = price
    quote.volume += quantity
    order.quantity -= quantity
    levels = state.levels
    levels[contract, price & (levels.shape[1] - 1)].depth -= quantity
    if meta[M_LEDGER] != 0:
        release_lots(state, slot, quantity)
        apply_fill(state, contract, np.int64(order.account), taker, -np.int64(order.side), quantity, price)


@kernel()
def _clip(state, slot):
    """Cut a resting reduce-only order to what its owner's position lets it trade; what is over is cancelled.

    Returns whether anything of it still rests.
    """
    order = state.orders[slot]
    contract = np.int64(order.contract)
    allowed = reducible(state, np.int64(order.account), contract, np.int64(order.side))
    over = np.int64(order.quantity) - allowed
    if allowed == 0:
        cancel_slot(state, slot)
    elif over > 0:
        release_lots(state, slot, over)
        order.quantity = allowed
        levels = state.levels
        levels[contract, order.price & (levels.shape[1] - 1)].depth -= over
    return allowed > 0


@kernel()
def _prevent_self_trade(state, slot):
    """Settle the meeting of an incoming order with a resting one of its own account.

    Cancels the resting order in the modes that say so; writes an event; returns whether the incoming order goes on.
    """
    order = state.orders[slot]
    mode = state.meta[M_STP]
    record_event(
        state, np.int64(EV_STP), np.int64(order.contract), np.int64(order.account), mode, order_id(state, slot),
        np.int64(order.quantity), np.int64(0),
    )  # fmt: skip
    if mode == STP_CANCEL_RESTING or mode == STP_CANCEL_BOTH:
        cancel_slot(state, slot)
    return mode == STP_CANCEL_RESTING


@kernel()
def _match(state, contract, side, limit, quantity, account, taker_id, cause, cause_ref):
    """Trade an incoming order against the other side, best price first, first in time first.

    Returns:
        Lots left to rest or to kill; 0 also when self-trade prevention cancelled the incoming order.
    """
    recorded = state.meta[M_RECORD_CAUSES] != 0
    if recorded:
        note_quotes(state, contract)
    quote = state.quotes[contract]
    traded = np.int64(0)
    while quantity > 0:
        price = quote.ask if side == BUY else quote.bid
        if price == NO_PRICE or side * (limit - price) < 0:
            break
        levels = state.levels
        slot = np.int64(levels[contract, price & (levels.shape[1] - 1)].head)
        order = state.orders[slot]
        if order.account == account and state.meta[M_STP] != STP_OFF:
            if not _prevent_self_trade(state, slot):
                quantity = np.int64(0)
                break
            continue
        if order.flags & REDUCE_ONLY and state.meta[M_LEDGER] != 0 and not _clip(state, slot):
            continue
        part = min(quantity, order.quantity)
        _fill(state, slot, part, account, taker_id, cause, cause_ref)
        quantity -= part
        traded += part
        if order.quantity == 0:
            dequeue(state, slot)
            retire(state, slot)
    if recorded:
        note_trade(state, contract, cause, cause_ref, account, side * traded)
    return quantity


# ---------------------------------------------------------------------------------------------------------------------
# Orders in, orders out


@kernel()
def _refuse(state, contract, price):
    """Note that an order out of range reached the book (admission should have stopped it)."""
    if state.meta[M_STATUS] == 0:
        state.meta[M_STATUS] = ST_LADDER
        state.meta[M_STATUS_A] = contract
        state.meta[M_STATUS_B] = price
    return np.int64(INVALID)


@kernel()
def _in_range(state, contract, price, quantity):
    """Whether a price and a size are ones this contract's book can hold."""
    return price >= 1 and price <= state.contracts[contract].max_price and quantity >= 1


@kernel(integers(11))
def submit(state, contract, side, price, quantity, account, tif, flags, expiry, loss, cause, cause_ref):
    """Work an order: trade what crosses, let the rest stand.

    Args:
        state: the market; mutates orders, levels, quotes, fills, events, and accounts and positions through the ledger.
            May replace ``orders``, ``levels``, ``bits0``, ``bits1``, ``fills`` and ``events`` by larger arrays.
        contract: contract index.
        side: BUY or SELL.
        price: limit in ticks, 1 .. max_price (for a market order the worst price it may take).
        quantity: lots.
        account: sender.
        tif: GTC, IOC, FOK or POST_ONLY.
        flags: REDUCE_ONLY, MARKET, FORCED or a sum; a market order never rests.
        expiry: first step at which the order is gone, 0 for never; an order that is gone already does not rest.
        loss: reserved loss per lot, minor units, kept with the order for its release.
        cause: cause code, for the tape.
        cause_ref: number of the causing event.

    Returns:
        The id of the resting order, or NOTHING_RESTS, WOULD_CROSS, NOT_FILLABLE, INVALID. An order that trades has an
        id on the tape even if nothing of it rests.
    """
    meta = state.meta
    if (
        contract < 0 or contract >= meta[M_CONTRACTS] or account < 0 or account >= meta[M_ACCOUNTS]
        or (side != BUY and side != SELL) or not _in_range(state, contract, price, quantity)
    ):  # fmt: skip
        return _refuse(state, contract, price)
    if flags & REDUCE_ONLY and meta[M_LEDGER] != 0:
        quantity = min(quantity, reducible(state, account, contract, side))
        if quantity == 0:
            return np.int64(NOTHING_RESTS)
    quote = state.quotes[contract]
    best = quote.ask if side == BUY else quote.bid
    crosses = best != NO_PRICE and side * (price - best) >= 0
    if tif == POST_ONLY and crosses:
        return np.int64(WOULD_CROSS)
    if tif == FOK and (not crosses or fillable(state, contract, side, price, quantity, account) < quantity):
        return np.int64(NOT_FILLABLE)
    slot = take_slot(state)
    if crosses:
        quantity = _match(state, contract, side, price, quantity, account, order_id(state, slot), cause, cause_ref)
    if quantity == 0 or tif == IOC or flags & MARKET or (expiry != 0 and expiry <= meta[M_STEP]):
        free_slot(state, slot)
        return np.int64(NOTHING_RESTS)
    if not make_room(state, contract, price):
        free_slot(state, slot)
        return _refuse(state, contract, price)
    order = state.orders[slot]
    order.price = price
    order.account = account
    order.quantity = quantity
    order.expiry = expiry
    order.side = side
    order.flags = flags | (cause << _CAUSE_SHIFT)
    order.contract = contract
    order.cause_ref = cause_ref
    order.loss = loss
    enqueue(state, slot)
    join(state, slot)
    if expiry > 0:
        schedule(state, slot)
    return order_id(state, slot)


@kernel(integers(4))
def replace(state, order_id, new_price, new_quantity, loss):
    """Change price and open size of a resting order, under the same id.

    It keeps its place in the queue iff the price stays and the size does not grow. Otherwise it goes to the back of the
    queue at its new price, after trading what crosses there. No reserve of the order itself is released here: the
    caller knows what was reserved before, and sees what rests (``find``, ``quantity``, ``loss``) after.

    Args:
        state: the market; mutates and may replace what :func:`submit` does.
        order_id: id of the order.
        new_price: limit in ticks, 1 .. max_price.
        new_quantity: lots to be open from now.
        loss: reserved loss per lot from now, minor units.

    Returns:
        The id if something rests, or NOTHING_RESTS, INVALID (nothing changed), UNKNOWN_ORDER.
    """
    slot = find(state, order_id)
    if slot < 0:
        return np.int64(UNKNOWN_ORDER)
    contract = np.int64(state.orders[slot].contract)
    side = np.int64(state.orders[slot].side)
    account = np.int64(state.orders[slot].account)
    flags = np.int64(state.orders[slot].flags)
    if not _in_range(state, contract, new_price, new_quantity):
        return _refuse(state, contract, new_price)
    if flags & REDUCE_ONLY and state.meta[M_LEDGER] != 0:
        new_quantity = min(new_quantity, reducible(state, account, contract, side))
    order = state.orders[slot]
    order.loss = loss
    if new_quantity > 0 and new_price == order.price and new_quantity <= order.quantity:
        levels = state.levels
        levels[contract, new_price & (levels.shape[1] - 1)].depth -= order.quantity - new_quantity
        order.quantity = new_quantity
        return order_id
    dequeue(state, slot)
    order.quantity = 0
    if new_quantity > 0:
        cause_ref = np.int64(order.cause_ref)
        new_quantity = _match(
            state, contract, side, new_price, new_quantity, account, order_id, flags >> _CAUSE_SHIFT, cause_ref
        )
    if new_quantity == 0:
        retire(state, slot)
        return np.int64(NOTHING_RESTS)
    if not make_room(state, contract, new_price):
        retire(state, slot)
        return _refuse(state, contract, new_price)
    state.orders[slot].price = new_price
    state.orders[slot].quantity = new_quantity
    enqueue(state, slot)
    return order_id


@kernel(integers(1))
def expire(state, step):
    """Cancel every order whose expiry is ``step``; must be called for each step in turn.

    The calendar is a ring: entries of later laps stay in their chain.

    Returns:
        The number of orders that expired.
    """
    count = np.int64(0)
    slot = np.int64(state.expiry_heads[step & (state.expiry_heads.shape[0] - 1)])
    while slot >= 0:
        order = state.orders[slot]
        after = np.int64(order.exp_next)
        if order.expiry <= step:
            if state.meta[M_RECORD_REFUSALS] != 0:
                record_event(
                    state, np.int64(EV_EXPIRED), np.int64(order.contract), np.int64(order.account), np.int64(0),
                    order_id(state, slot), np.int64(order.quantity), np.int64(0),
                )  # fmt: skip
            cancel_slot(state, slot)
            count += 1
        slot = after
    return count
