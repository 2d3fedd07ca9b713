"""Reading a book: depth by price, levels, queues, what a size would cost and fill. Nothing here changes the state.

Callers outside the exchange import these names from :mod:`sim.kernels.book`.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.ladder import integers, next_above, next_below
from sim.kernels.state import BUY, M_LEDGER, M_STP, NO_PRICE, REDUCE_ONLY, STP_CANCEL_RESTING, STP_OFF


@kernel(integers(2))
def next_bid_below(state, contract, tick):
    """Highest bid strictly below ``tick`` (ticks), NO_PRICE if there is none."""
    return next_below(state, contract, min(tick - 1, state.quotes[contract].bid))


@kernel(integers(2))
def next_ask_above(state, contract, tick):
    """Lowest ask strictly above ``tick`` (ticks), NO_PRICE if there is none."""
    ask = state.quotes[contract].ask
    if ask == NO_PRICE:
        return np.int64(NO_PRICE)
    return next_above(state, contract, max(tick + 1, ask))


@kernel(integers(3))
def next_worse(state, contract, side, tick):
    """Next price of ``side`` behind ``tick``: the bid below it or the ask above it, NO_PRICE if there is none."""
    if side == BUY:
        return next_bid_below(state, contract, tick)
    return next_ask_above(state, contract, tick)


@kernel(integers(2))
def best_price(state, contract, side):
    """Best bid (BUY) or best ask (SELL) in ticks, NO_PRICE if that side is empty."""
    return state.quotes[contract].bid if side == BUY else state.quotes[contract].ask


@kernel(integers(2))
def depth_at(state, contract, tick):
    """Lots resting at one price."""
    quote = state.quotes[contract]
    if quote.bid_orders + quote.ask_orders == 0 or tick < quote.low or tick > quote.high:
        return np.int64(0)
    return state.levels[contract, tick & (state.levels.shape[1] - 1)].depth


@kernel(integers(3))
def depth_within(state, contract, low_tick, high_tick):
    """Lots resting between two prices, both included (bids and asks alike)."""
    total = np.int64(0)
    tick = next_above(state, contract, low_tick)
    while tick != NO_PRICE and tick <= high_tick:
        total += depth_at(state, contract, tick)
        tick = next_above(state, contract, tick + 1)
    return total


@kernel()
def levels_of(state, contract, side, out_prices, out_lots, n):
    """Write the best ``n`` levels of a side (ticks, lots), best first, into the given arrays.

    Returns:
        The number of levels written, at most ``n``.
    """
    count = np.int64(0)
    tick = best_price(state, contract, side)
    while tick != NO_PRICE and count < n:
        out_prices[count] = tick
        out_lots[count] = depth_at(state, contract, tick)
        count += 1
        tick = next_worse(state, contract, side, tick)
    return count


@kernel()
def orders_at(state, contract, tick, out_slots):
    """Write the slots of the orders that rest at a price, first in time first, into ``out_slots``.

    Returns:
        The number of orders that rest there; only as many as fit are written.
    """
    count = np.int64(0)
    if depth_at(state, contract, tick) == 0:
        return count
    slot = state.levels[contract, tick & (state.levels.shape[1] - 1)].head
    while slot >= 0:
        if count < out_slots.shape[0]:
            out_slots[count] = slot
        count += 1
        slot = state.orders[slot].next
    return count


@kernel()
def sweep(state, contract, side, lots):
    """What a market order would trade against the book as it stands.

    Args:
        state: the market.
        contract: contract index.
        side: of the taker: BUY walks the asks.
        lots: size.

    Returns:
        Lots that would trade, the sum of price x lots over them (ticks x lots), and the last price reached (ticks,
        NO_PRICE if nothing would trade).
    """
    left = lots
    cost = np.int64(0)
    last = np.int64(NO_PRICE)
    tick = best_price(state, contract, -side)
    while tick != NO_PRICE and left > 0:
        part = min(left, depth_at(state, contract, tick))
        cost += part * tick
        left -= part
        last = tick
        tick = next_worse(state, contract, -side, tick)
    return lots - left, cost, last


@kernel(integers(3))
def cost_to_fill(state, contract, side, lots):
    """Sum of price x lots (ticks x lots) that a market order would trade, NO_PRICE if the book is too thin for it.

    Divided by ``lots`` this is the impact price.
    """
    filled, cost, _ = sweep(state, contract, side, lots)
    return cost if filled == lots else np.int64(NO_PRICE)


@kernel(integers(3))
def reducible(state, account, contract, side):
    """Lots that an order of ``side`` can trade before the account's position is closed."""
    return max(-side * state.positions[account, contract].lots, np.int64(0))


@kernel()
def _fills_before(state, contract, side, account, stop):
    """Lots an account would have sold (bought) in a sweep of ``side`` before the sweep reaches slot ``stop``.

    Its reduce-only orders count with what they could still reduce when they are reached.
    """
    reduces = reducible(state, account, contract, -side)
    traded = np.int64(0)
    price = best_price(state, contract, -side)
    while price != NO_PRICE:
        slot = np.int64(state.levels[contract, price & (state.levels.shape[1] - 1)].head)
        while slot >= 0:
            if slot == stop:
                return traded
            order = state.orders[slot]
            if order.account == account:
                part = np.int64(order.quantity)
                if order.flags & REDUCE_ONLY:
                    part = min(part, max(reduces - traded, np.int64(0)))
                traded += part
            slot = np.int64(order.next)
        price = next_worse(state, contract, -side, price)
    return traded


@kernel(integers(5))
def fillable(state, contract, side, limit, quantity, account):
    """Lots, up to ``quantity``, that an order would trade at once at ``limit`` or better. Reads only.

    Own resting orders do not count, and end the search if self-trade prevention would cancel the incoming order there;
    reduce-only orders count with what their owner's position would still let them trade at that point.
    """
    self_trade = state.meta[M_STP]
    total = np.int64(0)
    with_itself = np.int64(0)
    price = best_price(state, contract, -side)
    while price != NO_PRICE and side * (limit - price) >= 0:
        slot = np.int64(state.levels[contract, price & (state.levels.shape[1] - 1)].head)
        while slot >= 0:
            order = state.orders[slot]
            part = np.int64(order.quantity)
            if order.account == account and self_trade != STP_OFF:
                if self_trade != STP_CANCEL_RESTING:
                    return total
                part = np.int64(0)
            elif order.flags & REDUCE_ONLY and state.meta[M_LEDGER] != 0:
                if order.account == account:  # trading with itself leaves its position, trading with others adds to it
                    allowed = side * state.positions[account, contract].lots + total - with_itself
                else:
                    owner = np.int64(order.account)
                    allowed = reducible(state, owner, contract, -side) - _fills_before(
                        state, contract, side, owner, slot
                    )
                part = min(part, max(allowed, np.int64(0)))
            if order.account == account:
                with_itself += part
            total += part
            if total >= quantity:
                return quantity
            slot = np.int64(order.next)
        price = next_worse(state, contract, -side, price)
    return total
