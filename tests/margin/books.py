"""Portfolios in plain units for tests of rules: one account from terms, many accounts with random lots."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import margin
from margin.portfolio import Portfolio, Snapshot
from sim.interfaces import PortfolioView, Requirement, RiskParameters
from sim.kernels.state import SPOT


@dataclass
class Book:
    """A rule, a market that stands still, and what the rule published there."""

    rule: Any
    snapshot: Snapshot
    risk: RiskParameters

    def explain(self, view: PortfolioView | None = None) -> Requirement:
        found: Requirement = self.rule.explain(view or self.snapshot.portfolio, self.risk)
        return found

    def requirement(self, view: PortfolioView | None = None) -> Requirement:
        found: Requirement = self.rule.requirement(view or self.snapshot.portfolio, self.risk)
        return found

    def units(self, amount: np.ndarray) -> float:
        """First account's amount in units of the account currency."""
        return float(amount[0]) / self.snapshot.minor


def book(regime: str, params: dict[str, Any] | None = None, **file: Any) -> Book:
    snapshot = Portfolio.model_validate(file).snapshot()
    rule = margin.create(regime, params)
    risk, _ = rule.publish(snapshot.market, rule.init(snapshot.contracts))
    return Book(rule, snapshot, risk)


def accounts(
    one: Book, lots: np.ndarray, buys: np.ndarray | None = None, sells: np.ndarray | None = None
) -> PortfolioView:
    """The same contracts held by many accounts, int64[A, C] lots each, entered at mark."""
    lots = np.asarray(lots, np.int64)
    zero = np.zeros_like(lots)
    owned = one.snapshot.contracts.is_option | (one.snapshot.contracts.kind == SPOT)
    return replace(
        one.snapshot.portfolio,
        lots=lots,
        cost=np.where(owned, 0, one.snapshot.portfolio.value(lots)),
        cash=np.zeros((len(lots), 1 + lots.shape[1]), np.int64),
        open_buy=zero.copy() if buys is None else np.asarray(buys, np.int64),
        open_sell=zero.copy() if sells is None else np.asarray(sells, np.int64),
        loss_buy=zero.copy(),
        loss_sell=zero.copy(),
        wallets=np.zeros((len(lots), one.snapshot.portfolio.wallets.shape[1]), np.int64),
        features={},
    )


def same(one: Requirement, other: Requirement) -> None:
    """Two answers agree to the unit, and parts sum exactly."""
    assert np.array_equal(one.initial, other.initial)
    assert np.array_equal(one.maintenance, other.maintenance)
    assert np.array_equal(sum(other.parts.values()), other.initial)
    assert np.array_equal(sum(other.maintenance_parts.values()), other.maintenance)
    assert (other.initial >= 0).all()
    assert (other.maintenance >= 0).all()
