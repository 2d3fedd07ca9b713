"""The compiled evaluators of rate rules, asked for all accounts of a portfolio view at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from margin.kernels import schedule as compiled
from sim.interfaces import PortfolioView, Requirement, RiskParameters
from sim.kernels.codes import SCHEDULE_COLUMNS, SPOT


def arrays_of(portfolio: PortfolioView, risk: RiskParameters) -> tuple[Any, ...]:
    """The plain arrays that :func:`margin.kernels.schedule.cross` and ``isolated`` take, in their order."""
    contracts = portfolio.contracts
    inverse = contracts.inverse
    per_lot = np.where(inverse, 16, portfolio.mark) * contracts.tick_value
    per_lot[contracts.kind == SPOT] = 0  # covered by cash
    rates = np.array([risk.rate_initial, risk.rate_maintenance], np.int64)
    tables = risk.arrays.get("tiers")
    if tables is None:
        tables = np.zeros((len(contracts.names), 1, SCHEDULE_COLUMNS), np.int64)
    cells = (portfolio.lots, portfolio.open_buy, portfolio.open_sell, portfolio.loss_buy, portfolio.loss_sell)
    rows = tuple(np.ascontiguousarray(cell, np.int64) for cell in cells)
    price = portfolio.conversion[contracts.currency]
    return (*rows, per_lot, portfolio.mark.astype(np.int64), inverse, price, rates, np.ascontiguousarray(tables))


def cross(portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
    """One pocket: :func:`margin.netting.cross`, compiled."""
    initial, resting, maintenance = compiled.cross(*arrays_of(portfolio, risk))
    parts = {"positions": initial - resting, "open_orders": resting}
    return Requirement(initial, maintenance, parts, maintenance_parts={"positions": maintenance})


def isolated(portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
    """One pocket per position: :func:`margin.netting.isolated`, compiled."""
    reserve, held = compiled.isolated(*arrays_of(portfolio, risk))
    initial, maintenance = reserve.sum(axis=1), held.sum(axis=1)
    parts = {"positions": np.zeros_like(initial), "open_orders": initial}
    return Requirement(
        initial, maintenance, parts, initial_positions=reserve, maintenance_positions=held,
        maintenance_parts={"positions": maintenance},
    )  # fmt: skip
