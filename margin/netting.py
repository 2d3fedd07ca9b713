"""Netting: what may offset what. The readable definition of each evaluator, for all accounts at once.

Integers throughout, every requirement rounded up; the compiled evaluators in :mod:`margin.kernels.requirement` (one
account of a market) and :mod:`margin.kernels.schedule` (all accounts at once) give the same numbers to the unit.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from sim.contracts import TERM_REFERENCE
from sim.interfaces import PortfolioView, Requirement, RiskParameters
from sim.kernels import schedule as k
from sim.kernels.state import INITIAL, INVERSE_OPTION, MAINTENANCE


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


def _fine_charge(value: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Rate in 2**-62 times value, rounded up, in Python integers because the product needs up to 124 bits."""
    products = value.astype(object) * rate.astype(object)
    return np.array([-(-int(product) >> k.RATE_BITS) for product in products], np.int64)


def scheduled(table: np.ndarray, which: int, lots: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Charge of positions in one contract under a schedule that is not flat: the readable form of the compiled one.

    Args:
        table: int64[rows, SCHEDULE_COLUMNS] of the contract (:mod:`sim.kernels.schedule`).
        which: 0 initial, 1 maintenance.
        lots: int64[A], at least zero.
        value: int64[A], minor units, at least zero.

    Returns:
        int64[A], minor units, rounded up.
    """
    shift = which * k.PER_CHARGE
    if table[0, k.S_KIND] == k.TIERS:
        tiers = table[1 : 1 + table[0, k.S_TIERS]]
        # a tier holds above its floor, up to and including the next floor
        row = tiers[np.maximum(np.searchsorted(tiers[:, k.T_FLOOR], value, side="left") - 1, 0)]
        base, anchor, rate = (row[:, column + shift] for column in (k.T_BASE, k.T_ANCHOR, k.T_RATE))
        return base + _fine_charge(value - anchor, rate)
    size = lots if table[0, k.S_LOTS] else value
    count = -(-np.maximum(size - table[0, k.S_LIMIT], 0) // table[0, k.S_STEP])
    first, slope, full = (int(table[1, column + shift]) for column in (k.G_BASE, k.G_SLOPE, k.G_FULL))
    rate = first + np.minimum(count, max(full - 1, 0)) * slope
    return np.where(count >= full, value, _fine_charge(value, rate))


def _of_underlying(risk: RiskParameters, which: int, reference: int, rate: int, value: int, lot_value: Fraction) -> int:
    """What the rate or schedule of the contract that prices an underlying asks of a value of it, minor units."""
    table = risk.arrays["tiers"][reference] if "tiers" in risk.arrays else None
    if table is None or table[0, k.S_KIND] == k.FLAT:
        return -(-value * int(rate) >> 32)
    lots = -(-value // lot_value)
    return int(scheduled(table, which, np.array([lots], np.int64), np.array([value], np.int64))[0])


def short_option(
    risk: RiskParameters, which: int, terms: np.ndarray, rate: int, side: int, price: int, lots: int,
    lot_value: Fraction, in_coin: bool,
) -> int:  # fmt: skip
    """Charge of ``lots`` > 0 options sold, minor units: the readable form of :func:`sim.kernels.charges.short_option`.

    In the form of Cboe Rule 10.3, without the premium, which equity has booked: r S less what the option is out of the
    money, at least half of r S (puts: of r K).

    Args:
        risk: published parameters.
        which: INITIAL or MAINTENANCE.
        terms: row of ``ContractTable.option_terms``.
        rate: of the option, 2**-32, which is that of the contract that prices its underlying.
        side: 1 call, -1 put.
        price: of the underlying, in the units of the strike.
        lots: size.
        lot_value: value of a lot of the contract that prices the underlying, minor units.
        in_coin: inverse options.
    """
    reference, strike, paid, divisor = (int(x) for x in terms)
    worth = Fraction(lots * paid, divisor) / (price if in_coin else 1)  # per sub-tick of the underlying
    value, below = ceil(worth * price), floor(worth * max(side * (strike - price), 0))
    whole = _of_underlying(risk, which, reference, rate, value, lot_value)
    half = whole if side > 0 else _of_underlying(risk, which, reference, rate, ceil(worth * strike), lot_value)
    return max(whole - below, -(-half // 2))


def _option_charges(portfolio: PortfolioView, risk: RiskParameters, which: int, lots: np.ndarray, c: int) -> np.ndarray:
    """Charge of positions in one option: its value where long, :func:`short_option` where short, int64[A]."""
    table = portfolio.contracts
    if table.option_terms is None:
        raise ValueError("contracts without option_terms")
    terms, price = table.option_terms[c], int(portfolio.underlying_price()[c])
    reference = int(terms[TERM_REFERENCE])
    tick_value = int(table.tick_value[reference])
    mark = int(portfolio.mark[reference])
    lot_value = Fraction(16 * tick_value, mark) if table.inverse[reference] else Fraction(tick_value * mark, 16)
    in_coin = int(table.kind[c]) == INVERSE_OPTION
    made = (np.maximum(lots, 0) * int(portfolio.mark[c]) * int(table.tick_value[c])) >> 4
    rate = int((risk.rate_initial if which == INITIAL else risk.rate_maintenance)[c])
    for a in np.flatnonzero(lots < 0):
        made[a] = short_option(risk, which, terms, rate, int(table.option[c]), price, -int(lots[a]), lot_value, in_coin)
    return made


def charges(
    portfolio: PortfolioView, risk: RiskParameters, which: int, lots: np.ndarray, value: np.ndarray | None = None
) -> np.ndarray:
    """Charge of positions by rate or schedule (:mod:`sim.kernels.charges`), settlement currency, int64[A, C].

    Args:
        portfolio: every account's portfolio.
        risk: published parameters.
        which: INITIAL or MAINTENANCE.
        lots: signed, int64[A, C]; the sign matters of options only.
        value: what they are worth, int64[A, C] >= 0; default at mark.
    """
    size = np.abs(lots)
    value = portfolio.notional(size) if value is None else value
    made = charge(value, risk.rate_initial if which == INITIAL else risk.rate_maintenance)
    for contract, table in enumerate(risk.arrays.get("tiers", ())):
        if table[0, k.S_KIND] != k.FLAT:
            made[:, contract] = scheduled(table, which, size[:, contract], value[:, contract])
    for c in np.flatnonzero(portfolio.contracts.is_option).tolist():
        made[:, c] = _option_charges(portfolio, risk, which, lots[:, c], c)
    return made


def _requirement(initial: np.ndarray, resting: np.ndarray, maintenance: np.ndarray) -> Requirement:
    parts = {"positions": initial - resting, "open_orders": resting}
    return Requirement(
        initial=initial, maintenance=maintenance, parts=parts, maintenance_parts={"positions": maintenance}
    )


def cross(portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
    """One pocket, each contract at its own rate or schedule.

    Initial, per contract: the worse of "all buys fill" and "all sells fill", with the open orders' own loss against the
    mark at acceptance.
    """
    lots = portfolio.lots
    bought = charges(portfolio, risk, INITIAL, lots + portfolio.open_buy) + portfolio.loss_buy
    sold = charges(portfolio, risk, INITIAL, lots - portfolio.open_sell) + portfolio.loss_sell
    positions = portfolio.account_loss(charges(portfolio, risk, INITIAL, lots))
    ordered = (portfolio.open_buy != 0) | (portfolio.open_sell != 0)
    initial = np.where(ordered, portfolio.account_loss(np.maximum(bought, sold)), positions)
    resting = initial - positions
    maintenance = portfolio.account_loss(charges(portfolio, risk, MAINTENANCE, lots))
    return _requirement(initial.sum(axis=1), resting.sum(axis=1), maintenance.sum(axis=1))


def _opening(
    portfolio: PortfolioView, risk: RiskParameters, side: int, held: np.ndarray, open_lots: np.ndarray, loss: np.ndarray
) -> np.ndarray:
    """Reserve of one side's open orders beyond what they can close (``held`` is negative where they close).

    Their own loss counts in the same proportion, rounded up. Under a schedule by size the reserve is what they add to
    the charge of the position.
    """
    opening = np.maximum(open_lots - np.maximum(-held, 0), 0)
    own = loss.copy()
    for a, c in np.argwhere((opening > 0) & (opening < open_lots)):
        own[a, c] = -(-int(loss[a, c]) * int(opening[a, c]) // int(open_lots[a, c]))
    value, before = portfolio.notional(opening), np.maximum(held, 0)
    added = charge(value, risk.rate_initial)
    if "tiers" in risk.arrays:
        standing = portfolio.notional(before)
        grown = charges(portfolio, risk, INITIAL, before + opening, standing + value)
        curved = risk.arrays["tiers"][:, 0, k.S_KIND] != k.FLAT
        added = np.where(curved, np.maximum(grown - charges(portfolio, risk, INITIAL, before), 0), added)
    for c in np.flatnonzero(portfolio.contracts.is_option):
        # a bought option is paid in full; a sold one adds to what those sold before are charged
        after = _option_charges(portfolio, risk, INITIAL, side * (before + opening)[:, c], int(c))
        alone = _option_charges(portfolio, risk, INITIAL, side * opening[:, c], int(c))
        grown = after - _option_charges(portfolio, risk, INITIAL, side * before[:, c], int(c))
        added[:, c] = alone if side > 0 else np.maximum(grown, 0)
    return np.where(opening > 0, added + own, 0)


def isolated(portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
    """One pocket per position.

    Initial is what the wallet must reserve for open orders (a fill then moves the margin into the pocket): per contract
    the worse side's lots beyond those that close the position. Maintenance is that of each position.
    """
    lots = portfolio.lots
    bought = _opening(portfolio, risk, 1, lots, portfolio.open_buy, portfolio.loss_buy)
    sold = _opening(portfolio, risk, -1, -lots, portfolio.open_sell, portfolio.loss_sell)
    reserve = portfolio.account_loss(np.maximum(bought, sold))
    maintenance = portfolio.account_loss(charges(portfolio, risk, MAINTENANCE, lots))
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
