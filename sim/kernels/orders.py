"""The pool of orders and the chains they stand in.

An order is a slot of the pool. Its id is ``generation << 32 | slot``; the generation is raised whenever the slot is
freed, so an id never means another order, and a slot whose generations are used up is retired. No id is 0. A resting
order stands in up to three chains: the queue of its price level, its account's orders, and the calendar of expiries.

The pool is doubled when it is full: an array read from the state is stale after a call that says it may do so.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.ladder import clear_level, integers, next_above, next_below, set_level
from sim.kernels.ledger import release
from sim.kernels.state import BUY, M_FREE, M_LEDGER, M_LIVE, NO_PRICE, ORDER

_GENERATION_MAX = 0x7FFFFFFF
_SLOT_MASK = 0xFFFFFFFF

# ---------------------------------------------------------------------------------------------------------------------
# Slots and ids


@kernel(integers(1))
def order_id(state, slot):
    """Id of the order in a slot."""
    return (np.int64(state.orders[slot].generation) << 32) | np.int64(slot)


@kernel(integers(1))
def find(state, order_id):
    """Slot of a live order, -1 if there is no live order of this id (any int64 may be asked)."""
    slot = order_id & _SLOT_MASK
    if slot >= state.orders.shape[0]:
        return np.int64(-1)
    order = state.orders[slot]
    if order.side == 0 or np.int64(order.generation) != order_id >> 32:
        return np.int64(-1)
    return slot


@kernel()
def _grow_pool(state):
    """Double the pool and thread the new slots onto the (empty) free list. Replaces ``orders``."""
    old = state.orders
    size = old.shape[0]
    larger = np.zeros(2 * size, ORDER)
    for slot in range(size):  # record by record: a slice assignment of records takes seconds to compile
        larger[slot] = old[slot]
    state.orders = larger
    for slot in range(size, 2 * size):
        order = state.orders[slot]
        order.next = slot + 1 if slot + 1 < 2 * size else -1
        order.prev = -1
        order.generation = 1
    state.meta[M_FREE] = size


@kernel()
def take_slot(state):
    """Take a slot off the free list; its ``side`` stays 0 until the order rests. May replace ``orders``."""
    if state.meta[M_FREE] < 0:
        _grow_pool(state)
    slot = state.meta[M_FREE]
    state.meta[M_FREE] = state.orders[slot].next
    return slot


@kernel()
def free_slot(state, slot):
    """End the life of an id and put its slot on the free list. Mutates ``orders`` and the head of the list."""
    order = state.orders[slot]
    order.side = 0
    if order.generation < _GENERATION_MAX:
        order.generation += 1
        order.next = state.meta[M_FREE]
        state.meta[M_FREE] = slot


# ---------------------------------------------------------------------------------------------------------------------
# The three chains of a resting order


@kernel()
def enqueue(state, slot):
    """Put an order at the back of the queue of its price, for which there must be room in the ladder.

    Mutates the level, its bit, the quote, ``meta[M_LIVE]``.
    """
    orders = state.orders
    order = orders[slot]
    contract = np.int64(order.contract)
    price = np.int64(order.price)
    quote = state.quotes[contract]
    if order.side == BUY:
        quote.bid_orders += 1
        if price > quote.bid:
            quote.bid = price
    else:
        quote.ask_orders += 1
        if price < quote.ask or quote.ask == NO_PRICE:
            quote.ask = price
    levels = state.levels
    place = price & (levels.shape[1] - 1)
    level = levels[contract, place]
    tail = level.tail
    order.next = -1
    order.prev = tail
    if tail < 0:
        level.head = slot
        set_level(state, contract, place)
    else:
        orders[tail].next = slot
    level.tail = slot
    level.depth += order.quantity
    state.meta[M_LIVE] += 1


@kernel()
def dequeue(state, slot):
    """Take an order out of the queue of its price; if that empties the best price, find the next one.

    Mutates the level, its bit, the quote, ``meta[M_LIVE]``.
    """
    orders = state.orders
    order = orders[slot]
    contract = np.int64(order.contract)
    price = np.int64(order.price)
    levels = state.levels
    place = price & (levels.shape[1] - 1)
    level = levels[contract, place]
    before, after = order.prev, order.next
    if before >= 0:
        orders[before].next = after
    else:
        level.head = after
    if after >= 0:
        orders[after].prev = before
    else:
        level.tail = before
    level.depth -= order.quantity
    state.meta[M_LIVE] -= 1
    quote = state.quotes[contract]
    if order.side == BUY:
        quote.bid_orders -= 1
    else:
        quote.ask_orders -= 1
    if level.head < 0:
        clear_level(state, contract, place)
        if price == quote.bid:
            quote.bid = next_below(state, contract, price - 1) if quote.bid_orders > 0 else np.int64(NO_PRICE)
        elif price == quote.ask:
            quote.ask = next_above(state, contract, price + 1) if quote.ask_orders > 0 else np.int64(NO_PRICE)


@kernel()
def join(state, slot):
    """Put an order at the head of its account's chain. Mutates ``accounts`` and ``orders``."""
    orders = state.orders
    order = orders[slot]
    account = state.accounts[order.account]
    head = account.order_head
    order.own_next = head
    order.own_prev = -1
    if head >= 0:
        orders[head].own_prev = slot
    account.order_head = slot
    account.orders += 1


@kernel()
def leave(state, slot):
    """Take an order out of its account's chain. Mutates ``accounts`` and ``orders``."""
    orders = state.orders
    order = orders[slot]
    account = state.accounts[order.account]
    before, after = order.own_prev, order.own_next
    if before >= 0:
        orders[before].own_next = after
    else:
        account.order_head = after
    if after >= 0:
        orders[after].own_prev = before
    account.orders -= 1


@kernel()
def schedule(state, slot):
    """Put an order that expires into the calendar. Mutates ``expiry_heads`` and ``orders``."""
    orders = state.orders
    order = orders[slot]
    day = order.expiry & (state.expiry_heads.shape[0] - 1)
    head = state.expiry_heads[day]
    order.exp_next = head
    order.exp_prev = -1
    if head >= 0:
        orders[head].exp_prev = slot
    state.expiry_heads[day] = slot


@kernel()
def unschedule(state, slot):
    """Take an order that expires out of the calendar. Mutates ``expiry_heads`` and ``orders``."""
    orders = state.orders
    order = orders[slot]
    before, after = order.exp_prev, order.exp_next
    if before >= 0:
        orders[before].exp_next = after
    else:
        state.expiry_heads[order.expiry & (state.expiry_heads.shape[0] - 1)] = after
    if after >= 0:
        orders[after].exp_prev = before


@kernel()
def retire(state, slot):
    """Take an order that has left its queue out of the other chains and free its slot."""
    leave(state, slot)
    if state.orders[slot].expiry > 0:
        unschedule(state, slot)
    free_slot(state, slot)


@kernel()
def release_lots(state, slot, lots):
    """Release what ``lots`` of a resting order had reserved. Mutates the account's reserve."""
    if state.meta[M_LEDGER] != 0 and lots > 0:
        order = state.orders[slot]
        release(
            state, np.int64(order.account), np.int64(order.contract), np.int64(order.side), lots, np.int64(order.loss)
        )


@kernel(integers(1))
def cancel_slot(state, slot):
    """Cancel the live order in a slot and release its reserve. Returns the lots released."""
    lots = np.int64(state.orders[slot].quantity)
    release_lots(state, slot, lots)
    dequeue(state, slot)
    retire(state, slot)
    return lots


@kernel(integers(1))
def cancel(state, order_id):
    """Cancel an order by id and release its reserve.

    Returns:
        The lots released, or -1 if there is no live order of this id.
    """
    slot = find(state, order_id)
    if slot < 0:
        return np.int64(-1)
    return cancel_slot(state, slot)


@kernel(integers(2))
def cancel_all(state, account, contract):
    """Cancel every order of an account in one contract (-1: in all) and release the reserves.

    Returns:
        The lots released.
    """
    total = np.int64(0)
    slot = np.int64(state.accounts[account].order_head)
    while slot >= 0:
        after = np.int64(state.orders[slot].own_next)
        if contract < 0 or state.orders[slot].contract == contract:
            total += cancel_slot(state, slot)
        slot = after
    return total
