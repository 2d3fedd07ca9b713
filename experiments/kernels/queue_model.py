"""The queue model of Cont, Stoikov and Talreja on the book of this exchange: one path after another to the first move.

Orders are of one lot. Limit orders arrive at distance i ticks from the opposite best price, each order at that distance
is cancelled, market orders take from the best queue; all at rates that the caller gives (Operations Research 58, 2010,
section 1.2). Every event goes through the real book: ``submit`` and ``cancel`` of :mod:`sim.kernels.book`.
"""

from __future__ import annotations

import numpy as np

from sim.kernels import book
from sim.kernels.jit import kernel
from sim.kernels.keyed import exponential, uniform4
from sim.kernels.state import BUY, GTC, IOC, M_FILLS, MARKET, NO_PRICE, SELL

BIDDER, SELLER, TAKER, OWN = 0, 1, 2, 3  # accounts; own orders are never cancelled
UP, DOWN, EXECUTED, UNDECIDED = 1, -1, 2, 0  # how a path ends
WATCH_MOVE, WATCH_BID, WATCH_BOTH = 0, 1, 2  # what is asked: the move; is an own bid filled first; own bid and ask
_STREAM = 0x43535431  # of the keyed generator


@kernel()
def _cancel_one(state, price, u):
    """Cancel one of the orders at a price that are not own, all equally likely."""
    slot = np.int64(state.levels[0, price & (state.levels.shape[1] - 1)].head)
    others = np.int64(0)
    walk = slot
    while walk >= 0:
        if state.orders[walk].account != OWN:
            others += 1
        walk = np.int64(state.orders[walk].next)
    left = min(np.int64(u * others), others - 1)
    while True:
        if state.orders[slot].account != OWN:
            if left == 0:
                book.cancel(state, book.order_id(state, slot))
                return
            left -= 1
        slot = np.int64(state.orders[slot].next)


@kernel()
def _start(state, bid, ask, bids, asks, watch):
    """An empty book with queues at the two best prices; an own order is the last of its queue."""
    for account in range(4):
        book.cancel_all(state, np.int64(account), np.int64(0))
    for k in range(bids):
        account = OWN if k == bids - 1 and watch != WATCH_MOVE else BIDDER
        book.submit(state, 0, BUY, bid, 1, account, GTC, 0, 0, 0, 0, 0)
    for k in range(asks):
        account = OWN if k == asks - 1 and watch == WATCH_BOTH else SELLER
        book.submit(state, 0, SELL, ask, 1, account, GTC, 0, 0, 0, 0, 0)


@kernel()
def _fill_weights(state, limit, cancel, market, own_bid, own_ask, first_bid, first_ask, weights):
    """Rates of everything that can happen now; returns their sum.

    ``weights``: market buys, market sells, then for each distance bids, asks, cancels of bids, cancels of asks.
    """
    bid, ask = np.int64(state.quotes[0].bid), np.int64(state.quotes[0].ask)
    weights[0], weights[1] = market[0], market[1]
    total = market[0] + market[1]
    for i in range(limit.shape[1]):
        low, high = ask - 1 - i, bid + 1 + i
        bids = book.depth_at(state, 0, low) if low <= bid else 0
        asks = book.depth_at(state, 0, high) if high >= ask else 0
        if own_bid and low == first_bid:
            bids -= 1
        if own_ask and high == first_ask:
            asks -= 1
        place = 2 + 4 * i
        weights[place] = limit[0, i]
        weights[place + 1] = limit[1, i]
        weights[place + 2] = cancel[0, i] * bids
        weights[place + 3] = cancel[1, i] * asks
        for k in range(4):
            total += weights[place + k]
    return total


@kernel()
def _happen(state, event, bid, ask, u):
    """Carry out the chosen event on the book."""
    if event == 0:
        book.submit(state, 0, BUY, state.contracts[0].max_price, 1, TAKER, IOC, MARKET, 0, 0, 0, 0)
    elif event == 1:
        book.submit(state, 0, SELL, 1, 1, TAKER, IOC, MARKET, 0, 0, 0, 0)
    else:
        distance, kind = 1 + (event - 2) // 4, (event - 2) % 4
        if kind == 0:
            book.submit(state, 0, BUY, ask - distance, 1, BIDDER, GTC, 0, 0, 0, 0, 0)
        elif kind == 1:
            book.submit(state, 0, SELL, bid + distance, 1, SELLER, GTC, 0, 0, 0, 0, 0)
        elif kind == 2:
            _cancel_one(state, ask - distance, u)
        else:
            _cancel_one(state, bid + distance, u)


@kernel()
def race(state, limit, cancel, market, spread, bids, asks, watch, seed, first, most, outcome, duration):
    """Paths from a given book to the first move of the mid price, or to what is watched.

    Args:
        state: a book that stands alone (no ledger, self-trade prevention off); mutated.
        limit: float64[2, levels], rate of limit orders at distance 1, 2, ... from the opposite best; row 0 bids.
        cancel: float64[2, levels], cancellation rate of each order at that distance.
        market: float64[2], rates of market buys and sells.
        spread: ticks between the best prices at the start.
        bids: orders at the best bid at the start.
        asks: orders at the best ask at the start.
        watch: WATCH_MOVE, WATCH_BID (is the last bid filled before the mid moves) or WATCH_BOTH (are both last orders).
        seed: of the keyed draws; path k uses step ``first + k``.
        first: number of the first path.
        most: events after which a path is given up.
        outcome: int8[paths], filled: UP or DOWN as the mid moved, EXECUTED, or UNDECIDED.
        duration: float64[paths], filled: time until then.
    """
    ask0 = np.int64(state.contracts[0].max_price // 2)
    bid0 = ask0 - spread
    weights = np.zeros(2 + 4 * limit.shape[1])
    for path in range(outcome.shape[0]):
        _start(state, bid0, ask0, bids, asks, watch)
        own_bid, own_ask = watch != WATCH_MOVE, watch == WATCH_BOTH
        clock = 0.0
        outcome[path] = UNDECIDED
        for k in range(most):
            total = _fill_weights(state, limit, cancel, market, own_bid, own_ask, bid0, ask0, weights)
            u0, u1, u2, _ = uniform4(seed, _STREAM, first + path, k, 0)
            clock += exponential(u0) / total
            target = u1 * total
            event, reached = 0, weights[0]
            while reached <= target and event < weights.shape[0] - 1:
                event += 1
                reached += weights[event]
            state.meta[M_FILLS] = 0
            _happen(state, event, bid0, ask0, u2)
            if state.meta[M_FILLS] > 0 and state.fills[0].maker == OWN:
                if state.fills[0].side == SELL:
                    own_bid = False
                else:
                    own_ask = False
                if not own_bid and not own_ask:
                    outcome[path] = EXECUTED
                    break
            bid, ask = np.int64(state.quotes[0].bid), np.int64(state.quotes[0].ask)
            if bid != bid0 or ask != ask0:
                rose = (bid > bid0 or ask == NO_PRICE or ask > ask0) and bid != NO_PRICE
                outcome[path] = UP if rose else DOWN
                break
        duration[path] = clock
