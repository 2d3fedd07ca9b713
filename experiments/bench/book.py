"""Speed of the order book on a mixed stream: 50 % limits near the touch, 30 % cancels of live orders, 20 % market.

The stream is made beforehand by running it once on a book of its own, since a cancel must name a live order; ids repeat
on every book that starts empty, so the same operations are then replayed on fresh books, and only that is timed.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from experiments.bench.calibration import Benchmark, Calibration, Work, measure
from sim.kernels import book
from sim.kernels.jit import kernel
from sim.kernels.state import BUY, GTC, IOC, M_FILLS, M_LEDGER, M_LIVE, MARKET, SELL, State, allocate

RESTING = 50_000
OPERATIONS = 1_000_000
MAX_PRICE = 16_000
ACCOUNTS = 1024  # that rest, and as many that take, so that self-trade prevention is on and never acts
LIMIT, CANCEL, TAKE = 0, 1, 2


class Stream(NamedTuple):
    """Operations, one per row of each array."""

    kind: np.ndarray  # int8: LIMIT, CANCEL, TAKE
    side: np.ndarray  # int8
    price: np.ndarray  # int64, ticks
    quantity: np.ndarray  # int64, lots
    order_id: np.ndarray  # int64, for CANCEL

    def part(self, first: int, last: int) -> Stream:
        """The operations first .. last - 1."""
        return Stream(*(column[first:last] for column in self))


def empty_book() -> State:
    """A stand-alone book with nothing in it."""
    state = allocate(traders=2 * ACCOUNTS, contracts=1, steps=1, window=16384, pool=1 << 17, tape=1 << 20)
    state.meta[M_LEDGER] = 0
    state.contracts["max_price"] = MAX_PRICE
    return state


@kernel()
def _forget(live, where, count, slot):  # type: ignore[no-untyped-def]
    """Take a slot out of the list of live orders (the last one moves into its place)."""
    place = where[slot]
    last = live[count - 1]
    live[place] = last
    where[last & 0xFFFFFFFF] = place
    where[slot] = -1


@kernel()
def _generate(state, draws, mean_offset, resting, kind, side, price, quantity, order_id):  # type: ignore[no-untyped-def]
    """Run and write down the stream: first ``resting`` limits, then the mix. ``draws`` are uniforms, four a row."""
    live = np.empty(state.orders.shape[0], np.int64)
    where = np.full(state.orders.shape[0], -1, np.int64)
    count = 0
    middle = state.contracts[0].max_price // 2
    for k in range(draws.shape[0]):
        choice = draws[k, 0] if k >= resting else 0.5
        account = np.int64(k & (ACCOUNTS - 1))
        seen = state.meta[M_FILLS]
        if choice < 0.3 and count > 0:
            chosen = live[int(draws[k, 1] * count)]
            kind[k] = CANCEL
            order_id[k] = chosen
            book.cancel(state, chosen)
            _forget(live, where, count, chosen & 0xFFFFFFFF)
            count -= 1
            continue
        buy = draws[k, 1] < 0.5
        side[k] = BUY if buy else SELL
        quantity[k] = 1 + int(draws[k, 2] * 10.0)
        quote = state.quotes[0]
        if choice < 0.8:
            kind[k] = LIMIT
            offset = int(-np.log(1.0 - draws[k, 3]) * mean_offset)
            if buy:
                touch = quote.ask - 1 if quote.ask > 0 else (quote.bid if quote.bid > 0 else middle)
                price[k] = max(1, touch - offset)
            else:
                touch = quote.bid + 1 if quote.bid > 0 else (quote.ask if quote.ask > 0 else middle + 1)
                price[k] = min(state.contracts[0].max_price, touch + offset)
            made = book.submit(state, 0, np.int64(side[k]), price[k], quantity[k], account, GTC, 0, 0, 0, 0, 0)
        else:
            kind[k] = TAKE
            price[k] = state.contracts[0].max_price if buy else 1
            taker = ACCOUNTS + account
            made = book.submit(state, 0, np.int64(side[k]), price[k], quantity[k], taker, IOC, MARKET, 0, 0, 0, 0)
        for row in range(seen, state.meta[M_FILLS]):
            maker = state.fills[row].maker_order
            if book.find(state, maker) < 0:
                _forget(live, where, count, maker & 0xFFFFFFFF)
                count -= 1
        if made >= 0:
            live[count] = made
            where[made & 0xFFFFFFFF] = count
            count += 1
    return count


@kernel()
def _replay(state, kind, side, price, quantity, order_id):  # type: ignore[no-untyped-def]
    """Work through a stream."""
    for k in range(kind.shape[0]):
        account = np.int64(k & (ACCOUNTS - 1))
        if kind[k] == CANCEL:
            book.cancel(state, order_id[k])
        elif kind[k] == LIMIT:
            book.submit(state, 0, np.int64(side[k]), price[k], quantity[k], account, GTC, 0, 0, 0, 0, 0)
        else:
            taker = ACCOUNTS + account
            book.submit(state, 0, np.int64(side[k]), price[k], quantity[k], taker, IOC, MARKET, 0, 0, 0, 0)


def make_stream(operations: int = OPERATIONS, *, mean_offset: float = 5.0, seed: int = 1) -> Stream:
    """Set-up limits (``RESTING`` of them) followed by the mixed stream.

    Args:
        operations: operations after the set-up.
        mean_offset: mean distance of limits from the touch, ticks (exponential).
        seed: of the draws.
    """
    total = RESTING + operations
    draws = np.random.default_rng(seed).random((total, 4))
    stream = Stream(
        np.zeros(total, np.int8),
        np.zeros(total, np.int8),
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
        np.zeros(total, np.int64),
    )
    _generate(empty_book(), draws, mean_offset, RESTING, *stream)
    return stream


def _timed_replay(stream: Stream) -> float:
    """Seconds for the mixed part, on a fresh book that holds the set-up orders."""
    state = empty_book()
    _replay(state, *stream.part(0, RESTING))
    if state.meta[M_LIVE] != RESTING:
        raise RuntimeError(f"the set-up left {state.meta[M_LIVE]} orders, not {RESTING}")
    mixed = stream.part(RESTING, len(stream.kind))
    begin = time.perf_counter()
    _replay(state, *mixed)
    return time.perf_counter() - begin


def _mixed() -> Work:
    stream = make_stream()

    def work() -> tuple[float, float]:
        return OPERATIONS, _timed_replay(stream)

    return work


def benchmarks() -> list[Benchmark]:
    """The mixed stream on one book that stands alone (no ledger), in operations per second."""
    return [Benchmark("book.operations", "operations/s", _mixed, rounds=15)]


def book_operations(calibration: Calibration | None = None, rounds: int | None = None) -> list[dict[str, Any]]:
    """Measure the book in turns with the calibration loop.

    Args:
        calibration: the loop; one is made if none is given.
        rounds: number of replays; the median counts.

    Returns:
        One row: name, value, unit, command, best round, median of the loop, ratio.
    """
    loop = calibration or Calibration()
    return [measure(benchmark, loop, rounds).as_dict() for benchmark in benchmarks()]
