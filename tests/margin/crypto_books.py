"""Random portfolios of crypto contracts for tests of portfolio margins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import margin
from margin.portfolio import Portfolio, Snapshot
from sim.interfaces import PortfolioView, RiskParameters


def option(name: str, mark: str, side: str, strike: int, **terms: Any) -> dict[str, Any]:
    """A linear option on BTC of twelve and a half days, unless told otherwise."""
    base = {"kind": "linear_option", "underlying": "BTC", "days_to_expiry": 12.5}
    return {**base, "name": name, "mark": mark, "option_type": side, "strike": strike, **terms}


LINEAR: list[dict[str, Any]] = [
    {"name": "perp", "kind": "linear_perpetual", "underlying": "BTC", "mark": "50120.5"},
    {"name": "june", "kind": "linear_future", "underlying": "BTC", "mark": "50800", "days_to_expiry": 90},
    {"name": "spot", "kind": "spot", "underlying": "BTC"},
    option("c50", "1690.5", "call", 50000),
    option("p50", "1610", "put", 50000),
    option("c60", "12.25", "call", 60000),
    option("far", "1905", "call", 60000, days_to_expiry=60, forward="50500"),
    {"name": "eth", "kind": "linear_perpetual", "underlying": "ETH"},
    option("ethp", "75.5", "put", 2900, underlying="ETH"),
]
INVERSE: list[dict[str, Any]] = [
    {"name": "coin", "kind": "inverse_perpetual", "underlying": "BTC", "currency": "BTC", "multiplier": 10},
    {"name": "coinjune", "kind": "inverse_future", "underlying": "BTC", "currency": "BTC", "mark": "50800",
     "days_to_expiry": 90},
    option("coinc50", "0.0335", "call", 50000, kind="inverse_option", currency="BTC"),
]  # fmt: skip
COLUMNS = ("lots", "open_buy", "open_sell")


def contracts(*, inverse: bool) -> list[dict[str, Any]]:
    """Perpetuals, futures, spot and options of two underlyings, expiries and strikes; with inverse ones beside them."""
    return LINEAR + (INVERSE if inverse else [])


def snapshot(terms: list[dict[str, Any]], positions: dict[str, Any] | None = None, **file: Any) -> Snapshot:
    """A portfolio of BTC at 50,000 and ETH at 3,000.

    Unless told otherwise so much of every contract is held that lots are hundredths, and units leave room for many.
    """
    held = {one["name"]: "10000.01" for one in terms} if positions is None else positions
    base = {
        "underlyings": [
            {"name": "BTC", "price": "50000", "volatility": 0.6},
            {"name": "ETH", "price": "3000", "volatility": 0.75},
        ],
        "contracts": terms,
        "positions": [{"contract": name, "size": size} for name, size in held.items() if size],
        "interest_rate": 0.02,
    }
    return Portfolio.model_validate(base | file).snapshot()


@dataclass
class Asked:
    """A rule that has published for a snapshot."""

    model: Any
    risk: RiskParameters
    shot: Snapshot

    def view(self, rows: dict[str, np.ndarray], coins: np.ndarray | None = None) -> PortfolioView:
        shape = rows["lots"].shape
        zero = np.zeros(shape, np.int64)
        wallets = np.zeros((shape[0], len(self.shot.contracts.currencies)), np.int64)
        if coins is not None and wallets.shape[1] > 1:
            wallets[:, 1] = coins
        columns = {name: np.array(rows.get(name, zero), np.int64) for name in COLUMNS}
        loss = {f"loss_{side}": columns[f"open_{side}"] * 7 for side in ("buy", "sell")}
        cash = np.zeros((shape[0], 1 + shape[1]), np.int64)
        return replace(self.shot.portfolio, cost=zero, cash=cash, wallets=wallets, **columns, **loss)

    def both(self, view: PortfolioView) -> tuple[np.ndarray, np.ndarray]:
        answer = self.model.requirement(view, self.risk)
        return answer.initial, answer.maintenance

    def units(self, amount: np.ndarray) -> np.ndarray:
        return np.asarray(amount) / self.shot.minor


def asked(name: str, shot: Snapshot, **params: Any) -> Asked:
    model: Any = margin.create(name, params)
    risk, _ = model.publish(shot.market, model.init(shot.contracts))
    return Asked(model, risk, shot)


@st.composite
def rows(draw: st.DrawFn, count: int, accounts: int = 3, *, orders: bool = True) -> dict[str, np.ndarray]:
    """Positions and open orders of a few accounts, lots (hundredths of contracts)."""
    held = st.integers(-100_000, 100_000) | st.integers(-3, 3) | st.just(0)
    ordered = st.just(0) | st.integers(0, 100_000) | st.integers(0, 3)
    table = {}
    for column in COLUMNS:
        cell = held if column == "lots" else (ordered if orders else st.just(0))
        flat = draw(st.lists(cell, min_size=accounts * count, max_size=accounts * count))
        table[column] = np.array(flat, np.int64).reshape(accounts, count)
    return table
