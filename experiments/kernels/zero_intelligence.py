"""The zero-intelligence model of Daniels, Farmer, Gillemot, Iori and Smith on the book of this exchange.

Limit orders of one lot fall at random on every price up to the opposite best, market orders take the best, orders are
cancelled at random (Physical Review Letters 90, 108102, 2003; Quantitative Finance 3, 481, 2003). Every event goes
through the real book: ``submit`` and ``cancel`` of :mod:`sim.kernels.book`.
"""

from __future__ import annotations

import numpy as np

from sim.kernels import book
from sim.kernels.jit import kernel
from sim.kernels.keyed import exponential, uniform4
from sim.kernels.state import BUY, GTC, IOC, M_FILLS, MARKET, NO_PRICE, SELL

DONE, FULL = 0, -1  # FULL: more live orders than ``live`` or ``where`` hold
_BIDDER, _SELLER, _TAKER = 0, 1, 2
_SLOT = 0xFFFFFFFF
_STREAM = 0x5A494E54


@kernel()
def _forget(live, where, count, order):
    """Take an order out of the list of live ones: the last moves into its place."""
    place = where[order & _SLOT]
    last = live[count - 1]
    live[place] = last
    where[last & _SLOT] = place


@kernel()
def _profile(state, bid, ask, profile):
    """Add the lots of both sides by their distance from the mid, in ticks rounded down."""
    tick = bid
    while tick != NO_PRICE:
        place = (bid + ask - 2 * tick) // 2
        if place >= profile.shape[0]:
            break
        profile[place] += book.depth_at(state, 0, tick)
        tick = book.next_bid_below(state, 0, tick)
    tick = ask
    while tick != NO_PRICE:
        place = (2 * tick - bid - ask) // 2
        if place >= profile.shape[0]:
            break
        profile[place] += book.depth_at(state, 0, tick)
        tick = book.next_ask_above(state, 0, tick)


@kernel()
def run(
    state, limit, market, cancel, window, seed, burn_in, sample, every, most, live, where, mids, spreads, profile, sums
):  # fmt: skip
    """One long history.

    Args:
        state: an empty book that stands alone (no ledger, self-trade prevention off); mutated.
        limit: limit orders per tick, side and unit of time.
        market: market orders per side and unit of time.
        cancel: cancellation rate of each order.
        window: ticks behind the opposite best on which limit orders fall.
        seed: of the keyed draws.
        burn_in: time before anything is measured.
        sample: time between samples.
        every: samples between two readings of the depth.
        most: events after which the history is cut (0 for none).
        live: int64[capacity], scratch: ids of resting orders.
        where: int64[slots], scratch: place of each slot in ``live``.
        mids: float64[n], filled: mid at each sample, ticks; where a side is empty its last best price stands for it.
        spreads: float64[n], filled: ask - bid, ticks; NaN where a side is empty.
        profile: float64[distances], added to: lots by distance from the mid, both sides, over the readings.
        sums: float64[5], added to, after the burn-in: time, time with two sides, integral of the spread and of its
            square over that, readings of the depth.

    Returns:
        DONE or FULL, and the number of events.
    """
    centre = np.int64(state.contracts[0].max_price // 2)
    bid_ref, ask_ref = centre, centre + 1
    count = np.int64(0)
    clock, next_sample = 0.0, burn_in
    taken = 0
    events = np.int64(0)
    while taken < mids.shape[0] and (most == 0 or events < most):
        total = 2.0 * (limit * window + market) + cancel * count
        u0, u1, u2, u3 = uniform4(seed, _STREAM, 0, events, 0)
        events += 1
        until = clock + exponential(u0) / total
        bid, ask = np.int64(state.quotes[0].bid), np.int64(state.quotes[0].ask)
        two_sided = bid != NO_PRICE and ask != NO_PRICE
        if until > burn_in:
            span = until - max(clock, burn_in)
            sums[0] += span
            if two_sided:
                sums[1] += span
                sums[2] += span * (ask - bid)
                sums[3] += span * (ask - bid) * (ask - bid)
        while next_sample < until and taken < mids.shape[0]:
            mids[taken] = 0.5 * (bid_ref + ask_ref) - centre
            spreads[taken] = np.float64(ask - bid) if two_sided else np.nan
            if two_sided and taken % every == 0:
                _profile(state, bid, ask, profile)
                sums[4] += 1.0
            taken += 1
            next_sample = burn_in + taken * sample
        clock = until
        pick = u1 * total
        state.meta[M_FILLS] = 0
        if pick < 2.0 * limit * window:
            offset = 1 + min(np.int64(u2 * window), window - 1)
            if u3 < 0.5:
                order = book.submit(state, 0, BUY, ask_ref - offset, 1, _BIDDER, GTC, 0, 0, 0, 0, 0)
            else:
                order = book.submit(state, 0, SELL, bid_ref + offset, 1, _SELLER, GTC, 0, 0, 0, 0, 0)
            slot = order & _SLOT
            if count == live.shape[0] or slot >= where.shape[0] or order < 0:
                return np.int64(FULL), events
            live[count] = order
            where[slot] = count
            count += 1
        elif pick < 2.0 * (limit * window + market):
            if u3 < 0.5:
                book.submit(state, 0, BUY, state.contracts[0].max_price, 1, _TAKER, IOC, MARKET, 0, 0, 0, 0)
            else:
                book.submit(state, 0, SELL, 1, 1, _TAKER, IOC, MARKET, 0, 0, 0, 0)
            if state.meta[M_FILLS] > 0:
                _forget(live, where, count, np.int64(state.fills[0].maker_order))
                count -= 1
        elif count > 0:
            chosen = live[min(np.int64(u2 * count), count - 1)]
            book.cancel(state, chosen)
            _forget(live, where, count, chosen)
            count -= 1
        if state.quotes[0].bid != NO_PRICE:
            bid_ref = np.int64(state.quotes[0].bid)
        if state.quotes[0].ask != NO_PRICE:
            ask_ref = np.int64(state.quotes[0].ask)
    return np.int64(DONE), events
