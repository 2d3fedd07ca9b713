"""Netting: what may offset what. The readable definition of each evaluator, for all accounts at once.

Integers throughout, every requirement rounded up; the compiled evaluators in :mod:`margin.kernels.requirement` give the
same numbers to the unit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.interfaces import PortfolioView, Requirement, RiskParameters


def charge(value: npt.ArrayLike, rate: npt.ArrayLike) -> np.ndarray:
    """Rate times value, rounded up, exactly.

    Args:
        value: int64, minor units, at least zero.
        rate: int64, 2**-32, from zero to 2**32.

    Returns:
        int64, ``ceil(value x rate / 2**32)``.

    Examples:
        >>> charge([100, 101], 1 << 31)
        array([50, 51])
    """
    amount, factor = np.asarray(value, np.int64), np.asarray(rate, np.int64)
    low = (amount & 0xFFFFFFFF).astype(np.uint64) * factor.astype(np.uint64)
    rounded = (low >> np.uint64(32)) + ((low & np.uint64(0xFFFFFFFF)) != 0)
    return (amount >> 32) * factor + rounded.astype(np.int64)


def _requirement(initial: np.ndarray, resting: np.ndarray, maintenance: np.ndarray) -> Requirement:
    parts = {"positions": initial - resting, "open_orders": resting}
    return Requirement(initial=initial, maintenance=maintenance, parts=parts)


def cross(portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
    """One pocket, each contract at its own rate.

    Initial, per contract: the worse of "all buys fill" and "all sells fill", with the open orders' own loss against the
    mark at acceptance.
    """
    lots = portfolio.lots
    size = portfolio.account_notional
    bought = charge(size(lots + portfolio.open_buy), risk.rate_initial) + portfolio.account_loss(portfolio.loss_buy)
    sold = charge(size(lots - portfolio.open_sell), risk.rate_initial) + portfolio.account_loss(portfolio.loss_sell)
    held = size(lots)
    positions = charge(held, risk.rate_initial)
    initial = np.maximum(bought, sold)
    resting = initial - positions
    maintenance = charge(held, risk.rate_maintenance).sum(axis=1)
    return _requirement(initial.sum(axis=1), resting.sum(axis=1), maintenance)


def _opening(
    portfolio: PortfolioView, open_lots: np.ndarray, closable: np.ndarray, loss: np.ndarray, rate: np.ndarray
) -> np.ndarray:
    """Reserve of open orders beyond what they can close; their own loss counts in the same proportion, rounded up."""
    opening = np.maximum(open_lots - closable, 0)
    own = loss.copy()
    for a, c in np.argwhere((opening > 0) & (opening < open_lots)):
        own[a, c] = -(-int(loss[a, c]) * int(opening[a, c]) // int(open_lots[a, c]))
    return np.where(opening > 0, charge(portfolio.account_notional(opening), rate) + own, 0)


def isolated(portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
    """One pocket per position.

    Initial is what the wallet must reserve for open orders (a fill then moves the margin into the pocket): per contract
    the worse side's lots beyond those that close the position. Maintenance is that of each position.
    """
    lots, rate = portfolio.lots, risk.rate_initial
    bought = _opening(portfolio, portfolio.open_buy, np.maximum(-lots, 0), portfolio.loss_buy, rate)
    sold = _opening(portfolio, portfolio.open_sell, np.maximum(lots, 0), portfolio.loss_sell, rate)
    reserve = np.maximum(bought, sold)
    maintenance = charge(portfolio.account_notional(lots), risk.rate_maintenance)
    initial = reserve.sum(axis=1)
    answer = _requirement(initial, initial, maintenance.sum(axis=1))
    answer.initial_positions, answer.maintenance_positions = reserve, maintenance
    return answer


def _worst(loss: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Largest weighted loss over scenarios, int64[A]; never negative."""
    if loss.shape[1] == 0:
        return np.zeros(len(loss), np.int64)
    return charge(np.maximum(loss, 0), weight).max(axis=1)


def scenarios(portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
    """Largest weighted loss over the scenario grid, netted across contracts.

    Initial: in each scenario the base loss, plus every open order's loss where it would lose, plus its own loss against
    the mark; times the grid's ``initial_factor``.
    """
    profit = risk.scenario_pnl
    base = -((portfolio.lots[:, :, None] * profit) >> 10).sum(axis=1)
    bought = (portfolio.open_buy[:, :, None] * np.maximum(-profit, 0) + 1023) >> 10
    sold = (portfolio.open_sell[:, :, None] * np.maximum(profit, 0) + 1023) >> 10
    own = portfolio.account_loss(portfolio.loss_buy + portfolio.loss_sell).sum(axis=1)
    with_orders = base + (bought + sold).sum(axis=1) + own[:, None]
    maintenance = _worst(base, risk.scenario_weight)
    factor = int(risk.initial_factor)
    positions = _times(maintenance, factor)
    initial = _times(_worst(with_orders, risk.scenario_weight), factor)
    return _requirement(initial, initial - positions, maintenance)


def _times(amount: np.ndarray, factor: int) -> np.ndarray:
    """Amount times a factor in 2**-32 that may exceed one, rounded up, exactly."""
    whole, part = divmod(factor, 1 << 32)
    return amount * whole + charge(amount, part)
