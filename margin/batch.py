"""The compiled evaluators of rate rules, asked for all accounts of a portfolio view at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from margin.kernels import schedule as compiled
from sim.contracts import TERM_DIVISOR, TERM_PAYOFF, TERM_REFERENCE, TERM_STRIKE
from sim.interfaces import PortfolioView, Requirement, RiskParameters
from sim.kernels.codes import INVERSE_OPTION, SCHEDULE_COLUMNS, SPOT


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
    mark = portfolio.mark.astype(np.int64)
    return (*rows, per_lot, mark, inverse, price, rates, np.ascontiguousarray(tables), options_of(portfolio))


def options_of(portfolio: PortfolioView) -> np.ndarray:
    """Terms of options as the compiled evaluators read them, int64[C, OPTION_COLUMNS]; no rows where there are none."""
    contracts = portfolio.contracts
    if not contracts.is_option.any():
        return np.zeros((0, compiled.OPTION_COLUMNS), np.int64)
    if contracts.option_terms is None:
        raise ValueError("contracts without option_terms")
    table = np.zeros((len(contracts.names), compiled.OPTION_COLUMNS), np.int64)
    reference = contracts.option_terms[:, TERM_REFERENCE]
    table[:, compiled.O_SIDE] = contracts.option
    table[:, compiled.O_REFERENCE] = reference
    table[:, compiled.O_PRICE] = portfolio.underlying_price()
    table[:, compiled.O_STRIKE] = contracts.option_terms[:, TERM_STRIKE]
    table[:, compiled.O_PAYOFF] = contracts.option_terms[:, TERM_PAYOFF]
    table[:, compiled.O_DIVISOR] = contracts.option_terms[:, TERM_DIVISOR]
    table[:, compiled.O_COIN] = contracts.kind == INVERSE_OPTION
    table[:, compiled.O_TICK_VALUE] = contracts.tick_value[reference]
    table[:, compiled.O_INVERSE] = contracts.inverse[reference]
    return table


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
