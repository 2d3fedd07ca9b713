"""Speed of margin: requirements of a whole exchange in one call, of one order before the trade, of a market's step.

The exchange has 100,000 accounts and 30 contracts, every account with a position in every contract (``.dense``) or in
three of them. The pre-trade check is that of the market's own admission: 20,000 orders of as many accounts with
positions and reserves, over 30 contracts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from experiments.bench.calibration import Benchmark, Work
from experiments.bench.market import market_of

ACCOUNTS, CONTRACTS = 100_000, 30
ORDERS = 20_000
HELD = 3  # contracts with a position, of those accounts that do not hold all
TRADERS = 10_000
ROUND = 10  # requirements per round


def portfolio(*, dense: bool, orders: bool) -> Any:
    """Every account's portfolio, drawn with a fixed seed."""
    from sim.contracts import Contract, ContractTable
    from sim.interfaces import PortfolioView

    rng = np.random.default_rng(20071009)
    made = [Contract(name=f"c{c}", tick_value=1 + 7 * c, initial_price=1_000 + 371 * c) for c in range(CONTRACTS)]
    table = ContractTable.of(made, 60.0, 1440)
    shape = (ACCOUNTS, CONTRACTS)
    lots = rng.integers(-5_000, 5_000, shape)
    if not dense:
        lots[rng.random(shape) > HELD / CONTRACTS] = 0
    nothing = np.zeros((0, CONTRACTS), np.int64)
    cells: dict[str, Any] = dict.fromkeys(("open_buy", "open_sell", "loss_buy", "loss_sell"), nothing)
    if orders:
        resting = rng.random(shape) < HELD / CONTRACTS
        for name in ("open_buy", "open_sell"):
            cells[name] = np.where(resting, rng.integers(0, 1_000, shape), 0)
        for name in ("loss_buy", "loss_sell"):
            cells[name] = np.where(resting, rng.integers(0, 100_000, shape), 0)
    cost, cash = np.zeros(shape, np.int64), np.zeros((ACCOUNTS, 1 + CONTRACTS), np.int64)
    return PortfolioView(table, table.initial_mark.copy(), lots, cost, cash, **cells)


def _whole_exchange(regime: str, *, dense: bool, orders: bool) -> Work:
    """Milliseconds per requirement of all accounts, published parameters at hand."""
    import margin
    from margin.portfolio import StaticMarket

    view = portfolio(dense=dense, orders=orders)
    model = margin.create(regime)
    table = view.contracts
    nan, price = np.full(CONTRACTS, np.nan), view.mark / 16.0
    still = StaticMarket(
        table, view.mark, price, price, nan, np.full(CONTRACTS, np.inf), np.full(CONTRACTS, 0.03), nan, nan,
        np.zeros(CONTRACTS),
    )  # fmt: skip
    risk, _ = model.publish(still, model.init(table))

    def work() -> tuple[float, float]:
        start = time.perf_counter()
        for _ in range(ROUND):
            model.requirement(view, risk)
        return ROUND, (time.perf_counter() - start) * 1e3

    return work


def _admission(regime: str) -> Work:
    """Microseconds per order: everything that admission does between arrival and acceptance."""
    import margin
    from sim.contracts import Contract, ContractTable, contract_records
    from sim.kernels import admission, ledger, messages
    from sim.kernels import state as s
    from sim.kernels.sockets import socket

    rng = np.random.default_rng(20071009)
    made = [Contract(name=f"c{c}", tick_value=1 + 7 * c, initial_price=5_000) for c in range(CONTRACTS)]
    table = ContractTable.of(made, 60.0, 1440)
    model = margin.create(regime)
    state = s.allocate(traders=ORDERS, contracts=CONTRACTS, steps=1, tiers=model.schedule_rows)  # type: ignore[attr-defined]
    state.contracts[:] = contract_records(made)
    for name in ("mark", "mid", "index"):
        state.quotes[name] = table.initial_mark
    memory = model.init(table)
    state.model_params[0], state.model_state[0] = memory["params"], memory["state"]
    if "tiers" in memory:
        state.tiers[:] = memory["tiers"]
    model.publish_kernel(state, 0)
    state.rate_initial[:] = state.model_rates[0, :, 0]
    state.rate_maintenance[:] = state.model_rates[0, :, 1]
    for trader in range(ORDERS):
        for contract in rng.choice(CONTRACTS, HELD, replace=False):
            state.positions["lots"][trader, contract] = rng.integers(-100, 100)
        ledger.deposit(state, trader, 10**9)
    value = state.positions["lots"] * table.tick_value * 5_000
    state.positions["cost"][:] = value
    for trader in range(ORDERS):
        contract, side = int(rng.integers(CONTRACTS)), 1 if rng.random() < 0.5 else -1
        price, lots = 5_000 - 10 * side, int(rng.integers(1, 50))
        messages.push(state, trader, contract, s.NEW, side, s.GTC, 0, price, lots, 0, 0, s.CAUSE_NONE, 0)
    admission.arrival_order(state, 1)
    evaluate = socket(model.requirement_kernel, s.REQUIREMENT_TYPE)
    reserves = {name: state.positions[name].copy() for name in ("open_buy", "open_sell", "loss_buy", "loss_sell")}

    def work() -> tuple[float, float]:
        for name, before in reserves.items():
            state.positions[name] = before
        state.messages["accepted"] = 0
        start = time.perf_counter()
        admission.admit(state, evaluate)
        seconds = time.perf_counter() - start
        if int(state.messages["accepted"][:ORDERS].sum()) != ORDERS:
            raise RuntimeError("the orders of the benchmark are meant to be accepted")
        return ORDERS, seconds * 1e6

    return work


def _step(regime: str) -> Work:
    """Steps per second of the market of :mod:`experiments.bench.market` under a regime."""

    def work() -> tuple[float, float]:
        market = market_of(TRADERS, [f"margin.regime={regime}"])
        start = time.perf_counter()
        market.advance(market.config.steps)
        return market.config.steps, time.perf_counter() - start

    return work


def _ratio() -> Work:
    """How many times longer a step takes with the portfolio grid than with static rates, measured in turns."""
    static, grid = _step("static"), _step("portfolio")

    def work() -> tuple[float, float]:
        (_, plain), (_, gridded) = static(), grid()
        return 1.0, gridded / plain

    return work


def benchmarks() -> list[Benchmark]:
    """Requirements of all accounts, the pre-trade check, and the cost of a step; times, so smaller is better."""
    # rules with a batch evaluator, by the name of the figure; a rule over plain arrays needs a line here and no more
    rules: dict[str, str] = {"flat": "static", "isolated": "isolated", "tiers": "binance_tiers", "steps": "bitmex"}
    found = []
    for name, regime in rules.items():
        for suffix, dense, orders in (("", False, False), (".dense", True, False), (".orders", True, True)):
            prepare: Callable[[], Work] = partial(_whole_exchange, regime, dense=dense, orders=orders)
            found.append(Benchmark(f"requirement.{name}{suffix}", "ms", prepare, inverse=True))
    for name in ("static", "binance_tiers"):
        found.append(Benchmark(f"pretrade.{name}", "us/order", partial(_admission, name), inverse=True))
    return [*found, Benchmark("market.portfolio_over_static", "x", _ratio, rounds=3, inverse=True)]
