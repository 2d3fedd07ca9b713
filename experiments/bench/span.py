"""Speed of scenario margin: requirements of 100,000 accounts in 30 contracts, all accounts at once on one core."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np

import margin
from experiments.bench.calibration import Benchmark, Work
from sim.contracts import Contract, ContractTable
from sim.interfaces import PortfolioView

ACCOUNTS = 100_000
UNDERLYINGS, MONTHS, STRIKES = 3, 2, 4
RETURNS = 300


def contracts() -> ContractTable:
    """Thirty contracts: three underlyings, each with futures and options of four strikes in two months."""
    found = []
    for u in range(UNDERLYINGS):
        for month in range(MONTHS):
            common = {"underlying": f"u{u}", "tick_size": 0.01, "tick_value": 100}
            found.append(Contract(f"u{u}.{month}", "linear_future", initial_price=10_000, **common))  # type: ignore[arg-type]
            for k in range(STRIKES):
                side, strike = ("call", 100.0 + 5 * k) if k % 2 else ("put", 95.0 - 5 * k)
                option = {"option_type": side, "strike": strike, "volatility": 0.4} | common
                found.append(Contract(f"{found[-1].name}.{k}", "linear_option", initial_price=300, **option))  # type: ignore[arg-type]
    return ContractTable.of(found, 60.0, 1440)


def market(table: ContractTable) -> Any:
    """A market that stands still, with what the rules read of it."""
    count = len(table.names)
    month = np.arange(count) // (1 + STRIKES) % MONTHS
    returns = np.random.default_rng(2).normal(0.0, 0.01, (RETURNS, UNDERLYINGS))
    return SimpleNamespace(
        mark=table.initial_mark.copy(),
        forward=np.full(count, 100.0),
        implied_volatility=np.where(table.is_option, 0.4, np.nan),
        time_to_expiry=(30.0 + 60.0 * month) / 365.0,
        interest_rate=0.0,
        returns=lambda window, every: returns[-window:, table.underlying],
    )


def _accounts(regime: str, params: dict[str, Any]) -> Work:
    table = contracts()
    rule: Any = margin.create(regime, params)
    risk, _ = rule.publish(market(table), rule.init(table))
    draws = np.random.default_rng(1)
    lots = draws.integers(-1000, 1001, (ACCOUNTS, len(table.names)))
    none = [np.zeros_like(lots) for _ in range(5)]
    cash = np.zeros((ACCOUNTS, 1 + len(table.names)), np.int64)
    cost, buy, sell, loss_buy, loss_sell = none
    view = PortfolioView(table, table.initial_mark.copy(), lots, cost, cash, buy, sell, loss_buy, loss_sell)

    def work() -> tuple[float, float]:
        begin = time.perf_counter()
        rule.requirement(view, risk)
        return 1, (time.perf_counter() - begin) * 1e3

    return work


def benchmarks() -> list[Benchmark]:
    """Requirements of all accounts, each with positions in every contract, in milliseconds."""
    filtered = {"window": 250, "horizon": "1d"}
    return [
        Benchmark("requirement.span", "ms", lambda: _accounts("span", {}), inverse=True),
        Benchmark("requirement.tims", "ms", lambda: _accounts("tims", {}), inverse=True),
        Benchmark(
            "requirement.hs_portfolio", "ms", lambda: _accounts("hs_portfolio", filtered), rounds=3, inverse=True
        ),
    ]
