"""Price ladders: one ring of levels per contract and a two-level bitmap of the levels that hold orders.

A book is never crossed, so both sides share one ladder. The level of a tick is ``tick & (window - 1)``: the ladder
never has to be re-centred, and prices stay apart as long as all resting orders of a contract lie within one window
(``quotes.low .. quotes.high``). An order that would break this first tightens these bounds to the live prices and, if
that does not help, doubles the ladders of all contracts.

Bit i of ``bits0`` is set while level i holds orders, bit i of ``bits1`` while word i of ``bits0`` is not zero: the next
price in either direction costs a few instructions wherever it lies.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.kernels.jit import JIT_DISABLED, kernel
from sim.kernels.state import LEVEL, M_CONTRACTS, NO_PRICE, STATE_TYPE

LEVELS_MAX = 1 << 26  # over all contracts: 1 GiB of levels

_ONE = np.uint64(1)
_NONE = np.uint64(0)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)

if JIT_DISABLED:

    def integers(count: int) -> Any:
        """No signature is needed in plain Python."""
        return None

    def lowest_bit(word: Any) -> int:
        """Number of the lowest set bit of a word that is not zero."""
        value = int(word)
        return (value & -value).bit_length() - 1

    def highest_bit(word: Any) -> int:
        """Number of the highest set bit of a word that is not zero."""
        return int(word).bit_length() - 1

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    def integers(count: int) -> Any:
        """Signature ``int64(state, int64 x count)``.

        Functions that other rooms call are compiled for this alone: otherwise every literal and every narrow integer at
        a call compiles the whole tree below it once more.
        """
        return types.int64(STATE_TYPE, *(types.int64,) * count)

    @intrinsic
    def _trailing_zeros(typing_context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.uint64), generate

    @intrinsic
    def _leading_zeros(typing_context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.uint64), generate

    @kernel()
    def lowest_bit(word):
        """Number of the lowest set bit of a word that is not zero."""
        return _trailing_zeros(word)

    @kernel()
    def highest_bit(word):
        """Number of the highest set bit of a word that is not zero."""
        return 63 - _leading_zeros(word)


@kernel()
def set_level(state, contract, place):
    """Note that a level of the ring holds orders. Mutates the bitmaps."""
    word = place >> 6
    state.bits0[contract, word] |= _ONE << np.uint64(place & 63)
    state.bits1[contract, word >> 6] |= _ONE << np.uint64(word & 63)


@kernel()
def clear_level(state, contract, place):
    """Note that a level of the ring is empty. Mutates the bitmaps."""
    word = place >> 6
    bits0 = state.bits0
    left = bits0[contract, word] & ~(_ONE << np.uint64(place & 63))
    bits0[contract, word] = left
    if left == _NONE:
        state.bits1[contract, word >> 6] &= ~(_ONE << np.uint64(word & 63))


@kernel()
def _next_place_up(state, contract, place):
    """First level with orders at or after ``place`` on the ring, which must hold some. Reads only."""
    bits0 = state.bits0
    bits1 = state.bits1
    word = place >> 6
    found = bits0[contract, word] & (_ALL << np.uint64(place & 63))
    if found != _NONE:
        return (word << 6) + lowest_bit(found)
    group = word >> 6
    if word & 63 == 63:
        found = _NONE
    else:
        found = bits1[contract, group] & (_ALL << np.uint64((word & 63) + 1))
    while found == _NONE:
        group += 1
        if group == bits1.shape[1]:
            group = 0
        found = bits1[contract, group]
    word = (group << 6) + lowest_bit(found)
    return (word << 6) + lowest_bit(bits0[contract, word])


@kernel()
def _next_place_down(state, contract, place):
    """First level with orders at or before ``place`` on the ring, which must hold some. Reads only."""
    bits0 = state.bits0
    bits1 = state.bits1
    word = place >> 6
    found = bits0[contract, word] & (_ALL >> np.uint64(63 - (place & 63)))
    if found != _NONE:
        return (word << 6) + highest_bit(found)
    group = word >> 6
    if word & 63 == 0:
        found = _NONE
    else:
        found = bits1[contract, group] & (_ALL >> np.uint64(64 - (word & 63)))
    while found == _NONE:
        group -= 1
        if group < 0:
            group = bits1.shape[1] - 1
        found = bits1[contract, group]
    word = (group << 6) + highest_bit(found)
    return (word << 6) + highest_bit(bits0[contract, word])


@kernel(integers(2))
def next_above(state, contract, tick):
    """Lowest price with resting orders at or above ``tick`` on either side, NO_PRICE if there is none. Reads only."""
    quote = state.quotes[contract]
    if quote.bid_orders + quote.ask_orders == 0 or tick > quote.high:
        return np.int64(NO_PRICE)
    mask = state.levels.shape[1] - 1
    start = max(tick, quote.low)
    place = start & mask
    found = start + ((_next_place_up(state, contract, place) - place) & mask)
    return found if found <= quote.high else np.int64(NO_PRICE)


@kernel(integers(2))
def next_below(state, contract, tick):
    """Highest price with resting orders at or below ``tick`` on either side, NO_PRICE if there is none. Reads only."""
    quote = state.quotes[contract]
    if quote.bid_orders + quote.ask_orders == 0 or tick < quote.low:
        return np.int64(NO_PRICE)
    mask = state.levels.shape[1] - 1
    start = min(tick, quote.high)
    place = start & mask
    found = start - ((place - _next_place_down(state, contract, place)) & mask)
    return found if found >= quote.low else np.int64(NO_PRICE)


@kernel()
def _grow(state, window):
    """Give all contracts ladders of ``window`` levels, a power of two; every level keeps its queue.

    Replaces ``levels``, ``bits0`` and ``bits1``.
    """
    old = state.levels
    contracts = state.meta[M_CONTRACTS]
    levels = np.zeros((contracts, window), LEVEL)
    bits0 = np.zeros((contracts, window // 64), np.uint64)
    bits1 = np.zeros((contracts, window // 4096), np.uint64)
    for contract in range(contracts):
        tick = next_above(state, contract, np.int64(0))
        while tick != NO_PRICE:
            place = tick & (window - 1)
            levels[contract, place] = old[contract, tick & (old.shape[1] - 1)]
            word = place >> 6
            bits0[contract, word] |= _ONE << np.uint64(place & 63)
            bits1[contract, word >> 6] |= _ONE << np.uint64(word & 63)
            tick = next_above(state, contract, tick + 1)
    state.levels = levels
    state.bits0 = bits0
    state.bits1 = bits1
    for contract in range(contracts):
        for place in range(window):
            if bits0[contract, place >> 6] & (_ONE << np.uint64(place & 63)) == _NONE:
                state.levels[contract, place].head = -1
                state.levels[contract, place].tail = -1


@kernel()
def _widen(state, contract, price):
    """Tighten the bounds of a contract to its live prices, then grow if ``price`` does not fit. Returns success."""
    quote = state.quotes[contract]
    # both searches run on the old bounds, which cover every live price
    low = next_above(state, contract, quote.low)
    high = next_below(state, contract, quote.high)
    quote.low = low
    quote.high = high
    window = state.levels.shape[1]
    while max(high, price) - min(low, price) >= window:
        window *= 2
    if window > state.levels.shape[1]:
        if window * state.levels.shape[0] > LEVELS_MAX:
            return False
        _grow(state, np.int64(window))
    quote.low = min(low, price)
    quote.high = max(high, price)
    return True


@kernel()
def make_room(state, contract, price):
    """Extend the bounds of a contract so that an order can rest at ``price``. Returns success.

    Mutates ``quotes.low`` and ``quotes.high``; may replace ``levels``, ``bits0`` and ``bits1`` by larger arrays.
    """
    quote = state.quotes[contract]
    if quote.bid_orders + quote.ask_orders == 0:
        quote.low = price
        quote.high = price
        return True
    low = min(quote.low, price)
    high = max(quote.high, price)
    if high - low >= state.levels.shape[1]:
        return _widen(state, contract, price)
    quote.low = low
    quote.high = high
    return True
