"""Random contracts, markets and portfolios for the scenario rules, and the rules at work on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import margin
from margin.portfolio import Portfolio, Snapshot
from sim.interfaces import PortfolioView, Requirement, RiskParameters

RETURNS = tuple(round(0.02 * float(np.sin(1.7 * k) + 0.5 * np.cos(0.3 * k * k)), 6) for k in range(60))
OTHER = tuple(round(0.015 * float(np.cos(2.3 * k) - 0.4 * np.sin(0.11 * k * k)), 6) for k in range(60))


def future(name: str, underlying: str, days: float, **terms: Any) -> dict[str, Any]:
    return {"name": name, "kind": "linear_future", "underlying": underlying, "days_to_expiry": days, **terms}


def option(name: str, underlying: str, side: str, strike: float, days: float, **terms: Any) -> dict[str, Any]:
    found = {"name": name, "kind": "linear_option", "underlying": underlying, "option_type": side, "strike": strike}
    return found | {"days_to_expiry": days, **terms}


def book(**changes: Any) -> dict[str, Any]:
    """Two underlyings, futures in three months, options, a coin-margined future and option, a perpetual."""
    found: dict[str, Any] = {
        "interest_rate": 0.03,
        "underlyings": [
            {"name": "AA", "price": 100, "volatility": 0.3, "daily_volatility": 0.02, "returns": RETURNS},
            {"name": "BB", "price": 40, "volatility": 0.5, "daily_volatility": 0.03, "returns": OTHER},
        ],
        "contracts": [
            future("a1", "AA", 30, multiplier=10),
            future("a2", "AA", 91, multiplier=10, mark=101),
            future("b1", "BB", 30, multiplier=50),
            option("ac", "AA", "call", 105, 30, multiplier=10),
            option("ap", "AA", "put", 95, 91, multiplier=10),
            option("bc", "BB", "call", 40, 60, multiplier=50),
            {"name": "bp", "kind": "linear_perpetual", "underlying": "BB"},
            {"name": "ai", "kind": "inverse_future", "underlying": "AA", "days_to_expiry": 91, "multiplier": 100,
             "currency": "AA"},
            option("aic", "AA", "call", 110, 45, kind="inverse_option", currency="AA"),
        ],
        "positions": [{"contract": "a1", "size": 1_000_000}],  # minor units leave room for large accounts
    }  # fmt: skip
    return found | changes


def snapshot(raw: dict[str, Any]) -> Snapshot:
    return Portfolio(**raw).snapshot()


class Desk:
    """A rule with its risk parameters published, ready for any positions."""

    def __init__(self, regime: str, params: dict[str, Any] | None = None, raw: dict[str, Any] | None = None) -> None:
        self.snap = snapshot(raw or book())
        self.rule: Any = margin.create(regime, params)
        memory = self.rule.init(self.snap.contracts)
        self.risk: RiskParameters = self.rule.publish(self.snap.market, memory)[0]

    def view(self, lots: Any, buy: Any = None, sell: Any = None, own: Any = None) -> PortfolioView:
        held = np.atleast_2d(np.asarray(lots, np.int64))
        columns = [
            np.zeros_like(held) if one is None else np.atleast_2d(np.asarray(one, np.int64)) for one in (buy, sell, own)
        ]
        # only an open order has a loss of its own
        columns[2] = np.where(columns[0] + columns[1] > 0, columns[2], 0)
        return replace(
            self.snap.portfolio, lots=held, cost=np.zeros_like(held), open_buy=columns[0], open_sell=columns[1],
            loss_buy=columns[2], loss_sell=np.zeros_like(held), cash=np.zeros((len(held), 1 + held.shape[1]), np.int64),
        )  # fmt: skip

    def ask(self, lots: Any, buy: Any = None, sell: Any = None, own: Any = None) -> Requirement:
        return self.rule.requirement(self.view(lots, buy, sell, own), self.risk)

    def explain(self, lots: Any, buy: Any = None, sell: Any = None, own: Any = None) -> Requirement:
        return self.rule.explain(self.view(lots, buy, sell, own), self.risk)

    def maintenance(self, lots: Any) -> int:
        return int(self.ask(lots).maintenance[0])

    def agree(self, lots: Any, buy: Any = None, sell: Any = None, own: Any = None) -> None:
        """The compiled evaluator gives the definition's numbers, and the parts sum to them."""
        fast, slow = self.ask(lots, buy, sell, own), self.explain(lots, buy, sell, own)
        np.testing.assert_array_equal(fast.initial, slow.initial)
        np.testing.assert_array_equal(fast.maintenance, slow.maintenance)
        np.testing.assert_array_equal(sum(slow.parts.values()), slow.initial)
        np.testing.assert_array_equal(sum(slow.maintenance_parts.values()), slow.maintenance)
        assert slow.scenario_loss is not None
        assert slow.scenario_loss.shape == (len(slow.initial), len(slow.scenario_names))


def portfolios(contracts: int, accounts: int = 3, largest: int = 1000) -> st.SearchStrategy[np.ndarray]:
    """Positions, int64[A, C]: sparse, small, and now and then so large that float64 lanes are not exact."""
    lots = st.one_of(
        st.just(0), st.integers(-largest, largest), st.integers(-largest, largest).map(lambda n: n * 10**3)
    )
    row = st.lists(lots, min_size=contracts, max_size=contracts)
    return st.lists(row, min_size=1, max_size=accounts).map(lambda rows: np.array(rows, np.int64))


def orders(contracts: int, accounts: int) -> st.SearchStrategy[np.ndarray]:
    lots = st.one_of(st.just(0), st.integers(0, 500))
    row = st.lists(lots, min_size=contracts, max_size=contracts)
    return st.lists(row, min_size=accounts, max_size=accounts).map(lambda rows: np.array(rows, np.int64))
