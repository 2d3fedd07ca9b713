"""Cost of a liquidation, with the record of its causes and without, in cascades of 1,000 to 50,000 of them.

The cascade runs through a flat book: bids of one size at every tick and nothing else, the mark at the last price, and
one-lot accounts whose liquidation prices lie evenly below it, ``gain`` times as many to a tick as a bid is large. The
first sale fills a few ticks; from there each round of liquidations brings down the next. Everything that a liquidation
costs is in the figure: finding the breach, its order, its fill, the ledger, the marks of its round.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.bench.calibration import Benchmark, Work
from sim.kernels import book, clearing, ledger, moves, setup, step
from sim.kernels.jit import kernel
from sim.kernels.state import (
    BUY,
    GTC,
    IOC,
    LIMIT_NONE,
    M_FORCED_LIMIT,
    M_LIQUIDATIONS,
    M_MARK_RULE,
    M_READINGS,
    M_RECORD_CAUSES,
    M_RECORD_TRADES,
    M_RISK_SLOTS,
    M_ROUNDS_MAX,
    M_SEED,
    M_STEP,
    MARK_LAST,
    MARKET,
    SELL,
    SUBTICKS,
    allocate,
)

if TYPE_CHECKING:
    from sim.kernels.state import State

COUNTS = (1_000, 10_000, 50_000)
PRICE = 40_000
TICK_VALUE = 1_000
MAINTENANCE = 1 / 4
DEPTH = 10  # lots of the bid at every tick
LIQUIDATION_STREAM = 4


@kernel()
def _fill(state, accounts, bids, depth, gain, low_rate):  # type: ignore[no-untyped-def]
    """Bids at every tick below the price, and long accounts with thresholds evenly spread below the first bid."""
    rich_bidder, rich_short = accounts, accounts + 1
    for account in range(accounts, accounts + 2):
        ledger.deposit(state, account, np.int64(1) << 50)
    for tick in range(bids):
        book.submit(state, 0, BUY, PRICE - 1 - tick, depth, rich_bidder, GTC, 0, 0, 0, 0, 0)
    for account in range(accounts):
        # under maintenance below this price: cash - (P - p) = rate x p
        threshold = PRICE - 1.0 - (account + 0.5) / (gain * depth)
        cash = (PRICE - threshold * (1.0 - low_rate)) * TICK_VALUE
        ledger.deposit(state, account, np.int64(cash))
        ledger.apply_fill(state, 0, rich_short, account, BUY, 1, PRICE)


class FlatBook:
    """A flat book with a cluster of leveraged longs below it.

    Args:
        accounts: one-lot longs; liquidated in the order of their numbers.
        gain: lots liquidated per tick of fall over lots bid at a tick.
        causes: record causes.
        depth: lots bid at every tick.
    """

    def __init__(self, accounts: int, gain: float, *, causes: bool = False, depth: int = DEPTH) -> None:
        """Make the market and fill it."""
        import margin
        from sim.contracts import Contract, ContractTable, contract_records

        terms = [
            Contract(
                "flat", tick_value=TICK_VALUE, initial_price=PRICE, max_price=1 << 16, max_lots=1 << 30,
                price_band=0.9, fee_liquidation=0.0,
            )
        ]  # fmt: skip
        bids = 2 * accounts // depth + 500  # more than any cascade sells
        self.state: State = allocate(
            traders=accounts + 2, contracts=1, steps=2, window=1 << 16, pool=1 << 15, tape=2 * accounts
        )
        self.state.contracts[:] = contract_records(terms)
        meta = self.state.meta
        meta[M_STEP], meta[M_SEED], meta[M_ROUNDS_MAX] = 1, 1, 1 << 30
        meta[M_MARK_RULE], meta[M_FORCED_LIMIT], meta[M_RECORD_TRADES] = MARK_LAST, LIMIT_NONE, 1
        meta[M_RECORD_CAUSES] = causes
        self.state.accounts["exempt"][accounts:] = 1
        quote = self.state.quotes[0]
        quote["last"] = PRICE
        for name in ("mark", "mid", "ema", "index"):
            quote[name] = PRICE * SUBTICKS
        setup.scale_bucket(self.state, 0, 1 << 16)
        model: Any = margin.create("static", {"initial": MAINTENANCE, "maintenance": MAINTENANCE})
        meta[clearing.M_INDEX_VALID] = 1
        memory = model.init(ContractTable.of(terms, 60.0, 1440))
        self.state.model_params[0], self.state.model_state[0] = memory["params"], memory["state"]
        model.publish_kernel(self.state, 0)
        step.announce(self.state)
        self.state.rate_maintenance[:] = self.state.rate_maintenance[1 % int(meta[M_RISK_SLOTS])]
        self.evaluate = model.requirement_kernel
        self.seller = accounts + 1
        _fill(self.state, accounts, bids, depth, float(gain), MAINTENANCE)
        if causes:
            moves.open_tape(self.state)

    def sell(self, lots: int) -> int:
        """Sell into the bids, read the marks and clear. Returns liquidations."""
        book.submit(self.state, 0, SELL, 1, lots, self.seller, IOC, MARKET, 0, 0, 0, 0)
        moves.read_marks(self.state, -1)
        clearing.clear(self.state, self.evaluate, LIQUIDATION_STREAM)
        return int(self.state.meta[M_LIQUIDATIONS])


def _cascade(count: int, causes: bool) -> Work:
    def work() -> tuple[float, float]:
        market = FlatBook(count, 1.1, causes=causes)
        start = time.perf_counter()
        done = market.sell(10 * DEPTH)
        spent = time.perf_counter() - start
        if done != count or (market.state.meta[M_READINGS] > 0) != causes:
            raise RuntimeError(f"{done} liquidations instead of {count}")
        return done, spent * 1e6

    return work


def _measures(count: int) -> Work:
    def work() -> tuple[float, float]:
        from sim.causes import Causes

        market = FlatBook(count, 1.1, causes=True)
        market.sell(10 * DEPTH)
        start = time.perf_counter()
        found = Causes(market.state)
        return len(found), (time.perf_counter() - start) * 1e6

    return work


def benchmarks() -> list[Benchmark]:
    """Microseconds per liquidation: without the record, with it, and of the tree made of it afterwards."""
    found = []
    for count in COUNTS:
        for name, work in (
            ("plain", partial(_cascade, count, False)),
            ("causes", partial(_cascade, count, True)),
            ("tree", partial(_measures, count)),
        ):
            found.append(Benchmark(f"liquidation.{name}.{count}", "us", work, rounds=5, inverse=True))
    return found
