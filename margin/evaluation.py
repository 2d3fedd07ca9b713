"""A rule asked once about one portfolio: the market's rule objects, on the integers of a portfolio file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from margin.collateral import currency_equity, margin_equity
from margin.portfolio import CollateralTerms, Portfolio, PositionTerms, Snapshot
from margin.portfolio_shift import Shifter
from sim.contracts import rate_to_units
from sim.errors import ConfigError, Problem
from sim.interfaces import MarginModel, PortfolioView, Requirement, RiskParameters
from sim.kernels.state import RATE_ONE, SUBTICKS

Amounts = Mapping[int, Decimal]


@dataclass
class Evaluation:
    """What a rule says of a portfolio. Amounts in units of the account currency unless said otherwise.

    Attributes:
        portfolio: the file.
        rule: the margin model.
        snapshot: the portfolio in integers.
        risk: what the rule published.
        memory: of the rule before it published.
    """

    portfolio: Portfolio
    rule: MarginModel
    snapshot: Snapshot
    risk: RiskParameters
    memory: dict[str, np.ndarray]

    @property
    def view(self) -> PortfolioView:
        """The portfolio as the rule sees it."""
        return self.snapshot.portfolio

    @property
    def isolated(self) -> bool:
        """True when each position has a pocket."""
        return self.rule.layout == "isolated"

    @cached_property
    def number(self) -> dict[str, int]:
        """Contract numbers by name."""
        return {name: i for i, name in enumerate(self.snapshot.contracts.names)}

    @cached_property
    def entry_view(self) -> PortfolioView:
        """The portfolio for maintenance: at its marks, or at its entry prices where ``mm_basis`` says so."""
        if self.portfolio.account.mm_basis == "mark":
            return self.view
        marks = self.view.mark.copy()
        for row in self.portfolio.positions:
            if row.entry is not None:
                i = self.number[row.contract]
                marks[i] = round(row.entry / self.snapshot.tick[i] * SUBTICKS)
        return replace(self.view, mark=marks)

    def money(self, minor: Any) -> Decimal:
        """Minor units of the account currency as units."""
        return Decimal(int(minor)) / self.snapshot.minor

    def _units(self, minor: Any, currency: int) -> Decimal:
        return Decimal(int(minor)) / Decimal(int(self.snapshot.contracts.minor[currency]))

    @cached_property
    def haircuts(self) -> np.ndarray:
        """Haircut of each currency: the file's or the rule's, whichever is larger, int64[K]."""
        cut = np.zeros(len(self.snapshot.prices), np.int64)
        cut[: len(self.risk.haircut)] = self.risk.haircut[: len(cut)]
        for row in self.portfolio.collateral:
            place = self.snapshot.contracts.currencies.index(row.currency)
            cut[place] = max(int(cut[place]), rate_to_units(row.haircut))
        return cut

    def haircut(self, currency: int) -> Decimal:
        """Haircut of a currency as a fraction."""
        return Decimal(int(self.haircuts[currency])) / RATE_ONE

    @cached_property
    def equity(self) -> Decimal:
        """Cash, pockets, unrealised profit, options and coins at market value."""
        owned = currency_equity(self.view)[0]
        return sum((self._units(owned[k], k) * price for k, price in enumerate(self.snapshot.prices)), Decimal(0))

    @cached_property
    def equity_excluded(self) -> Decimal:
        """What the rule leaves out of equity (``Requirement.equity_excluded``)."""
        excluded = self.answer.equity_excluded
        return Decimal(0) if excluded is None else self.money(excluded[0])

    @cached_property
    def margin_equity(self) -> Decimal:
        """Equity less haircuts, and less what the rule leaves out of it."""
        left_out = self.equity_excluded
        sizes = self.risk.arrays.get("haircut_size")
        if not self.haircuts.any() and (sizes is None or not np.any(sizes)):
            return self.equity - left_out
        return self.money(margin_equity(self.view, self.haircuts, sizes)[0]) - left_out

    @cached_property
    def answer(self) -> Requirement:
        """Requirement at the marks."""
        return self.rule.requirement(self.view, self.risk)

    @cached_property
    def _maintenance_answer(self) -> Requirement:
        if self.entry_view is self.view:
            return self.answer
        return self.rule.requirement(self.entry_view, self.risk)

    @cached_property
    def maintenance(self) -> Decimal:
        """Maintenance requirement."""
        return self.money(self._maintenance_answer.maintenance[0])

    @cached_property
    def position_maintenance(self) -> Amounts:
        """Isolated: maintenance of each position."""
        each = self._maintenance_answer.maintenance_positions
        if each is not None:
            return {i: self.money(amount) for i, amount in enumerate(each[0])}
        return _alone(self.rule, self.entry_view, self.risk, self.money)[1]

    @cached_property
    def position_initial(self) -> Amounts:
        """Isolated: what opening each position at its mark would move into its pocket."""
        view, none = self.view, np.zeros_like(self.view.lots)
        opening = replace(
            view, lots=none, cost=none, open_buy=np.maximum(view.lots, 0), open_sell=np.maximum(-view.lots, 0),
            loss_buy=none, loss_sell=none,
        )  # fmt: skip
        each = self.rule.requirement(opening, self.risk).initial_positions
        if each is None:
            return _alone(self.rule, view, self.risk, self.money)[0]
        return {i: self.money(amount) for i, amount in enumerate(each[0])}

    @cached_property
    def initial(self) -> Decimal:
        """Initial requirement; isolated: of the positions at their marks and of the open orders."""
        orders = self.money(self.answer.initial[0])
        return orders + sum(self.position_initial.values(), Decimal(0)) if self.isolated else orders

    @cached_property
    def _explained(self) -> Requirement:
        explain = getattr(self.rule, "explain", self.rule.requirement)
        found: Requirement = explain(self.view, self.risk)
        return found

    @cached_property
    def parts(self) -> dict[str, Decimal]:
        """Parts of the initial requirement."""
        if self.isolated:
            positions = sum(self.position_initial.values(), Decimal(0))
            return {"positions": positions, "open_orders": self.money(self.answer.initial[0])}
        parts = {key: self.money(part[0]) for key, part in self._explained.parts.items()}
        return parts or {"requirement": self.initial}

    @cached_property
    def maintenance_parts(self) -> dict[str, Decimal]:
        """Parts of the maintenance requirement."""
        found = self._explained
        if self.entry_view is not self.view:
            found = getattr(self.rule, "explain", self.rule.requirement)(self.entry_view, self.risk)
        parts = {key: self.money(part[0]) for key, part in found.maintenance_parts.items()}
        return parts or {"positions": self.maintenance}

    def scenarios(self) -> Iterator[tuple[str, Decimal, float]]:
        """Name, loss of the positions, and part of it that counts, of each scenario."""
        loss, names = self._explained.scenario_loss, self._explained.scenario_names
        grid = self.risk.scenario_pnl
        if loss is None and grid.size:
            loss = -((self.view.lots[:, :, None] * grid) >> 10).sum(axis=1)
        if loss is None:
            return
        if len(names) != loss.shape[1]:
            names = self._joint_moves() or tuple(f"scenario {s + 1}" for s in range(loss.shape[1]))
        weights = self.risk.scenario_weight
        for s, name in enumerate(names):
            yield name, self.money(loss[0, s]), float(weights[s] / RATE_ONE) if s < len(weights) else 1.0

    def _joint_moves(self) -> tuple[str, ...]:
        """Names of a composition's scenarios: each contract's move in its own rate."""
        if getattr(self.rule, "netting", "") != "scenarios" or "params" not in self.memory:
            return ()
        from margin.scenarios import joint_moves, volatility_moves

        moves = joint_moves(self.memory["params"])[0] / RATE_ONE
        copies = volatility_moves(self.memory["params"])
        names = self.snapshot.contracts.names
        found = []
        for s, column in enumerate(moves.T):
            same = bool(np.all(column == column[0]))
            each = ", ".join(f"{name} {move:+.2f}" for name, move in zip(names, column, strict=True))
            times = copies[s * len(copies) // moves.shape[1]]
            found.append(
                (f"all {column[0]:+.2f}" if same else each) + ("" if times == 1.0 else f", volatility x{times:g}")
            )
        return tuple(found)

    def mark(self, i: int) -> float:
        """Mark of a contract, price units."""
        return float(Decimal(int(self.view.mark[i])) / SUBTICKS * self.snapshot.tick[i])

    def value(self, i: int) -> Decimal:
        """Value at mark of a position, signed like it, settlement currency."""
        worth = self._units(self.view.value()[0, i], int(self.snapshot.contracts.currency[i]))
        return -worth if self.snapshot.contracts.inverse[i] else worth

    def value_in_account(self, i: int) -> Decimal:
        """The same in the account currency; an option's or coin's is its market value."""
        return self.value(i) * self.snapshot.prices[int(self.snapshot.contracts.currency[i])]

    def profit(self, i: int, row: PositionTerms) -> Decimal:
        """Unrealised profit against the entry price, settlement currency."""
        terms = self.portfolio.contracts[i]
        currency = int(self.snapshot.contracts.currency[i])
        if not (terms.is_option or terms.kind == "spot"):
            return self._units(self.view.unrealised()[0, i], currency)
        assert row.entry is not None
        return self.value(i) - row.size * terms.multiplier * row.entry

    def pocket(self, i: int) -> Decimal:
        """Cash in the pocket of a position, settlement currency."""
        return self._units(self.view.cash[0, 1 + i], int(self.snapshot.contracts.currency[i]))

    def pocket_equity(self, i: int) -> Decimal:
        """Pocket and unrealised profit of a position, account currency."""
        currency = int(self.snapshot.contracts.currency[i])
        profit = self._units(self.view.unrealised()[0, i], currency)
        return (self.pocket(i) + profit) * self.snapshot.prices[currency]

    def worth(self, i: int) -> Decimal:
        """What a position adds to equity, account currency."""
        currency = int(self.snapshot.contracts.currency[i])
        return self._units(self.view.unrealised()[0, i], currency) * self.snapshot.prices[currency]

    def wallet(self, currency: int) -> Decimal:
        """Cash of a currency outside pockets."""
        return self._units(self.view.wallets[0, currency], currency)

    def closing_fee(self, underlying: str) -> Decimal:
        """Taker fees of closing all positions in an underlying at their marks."""
        return sum((self.closing_fees[i] for i in self.held(underlying)), Decimal(0))

    @cached_property
    def closing_fees(self) -> dict[int, Decimal]:
        """Taker fee of closing each position at its mark."""
        fees = {}
        for row in self.portfolio.positions:
            i = self.number[row.contract]
            rate = Decimal(repr(self.portfolio.contracts[i].fee_taker))
            fees[i] = abs(self.value_in_account(i)) * rate if rate else Decimal(0)
        return fees

    def held(self, underlying: str) -> list[int]:
        """Contracts of an underlying in which there is a position."""
        terms = self.portfolio.contracts
        held = (self.number[row.contract] for row in self.portfolio.positions)
        return [i for i in held if terms[i].underlying == underlying]


def evaluate(portfolio: Portfolio, rule: MarginModel, *, strict: bool = True) -> Evaluation:
    """Let a rule publish at the marks of a portfolio, from its initial memory.

    Args:
        portfolio: the file.
        rule: the margin model.
        strict: see :meth:`margin.portfolio.Portfolio.snapshot`.

    Raises:
        ConfigError: the rule cannot margin these contracts, or lacks data.
    """
    snapshot = portfolio.snapshot(strict=strict)
    memory = rule.init(snapshot.contracts)
    risk, _ = rule.publish(snapshot.market, memory)
    return Evaluation(portfolio, rule, snapshot, risk, memory)


def prepared(portfolio: Portfolio, rule: MarginModel) -> Portfolio:
    """The portfolio with defaults that depend on the rule's pockets written out.

    Cross: a position's ``margin`` is cash like any other, a chosen leverage sets no cash aside. Isolated: each position
    gets its ``margin``; or its value at entry over its chosen leverage, or else what opening it at its entry price
    moves into the pocket. These two are taken from the collateral of that currency where it covers them all, and count
    as paid in beside it where it does not.

    Raises:
        ConfigError: two haircuts for one currency, or the rule cannot margin these contracts.
    """
    cuts: dict[str, float] = {}
    for place, own in enumerate(portfolio.collateral):
        if cuts.setdefault(own.currency, own.haircut) != own.haircut:
            allowed = f"the haircut of other collateral in {own.currency} ({cuts[own.currency]})"
            raise ConfigError(Problem("", f"collateral.{place}.haircut", own.haircut, allowed))
    portfolio = Shifter(portfolio).portfolio
    pockets = _pockets(portfolio, rule) if rule.layout == "isolated" else {}
    terms = {one.name: one for one in portfolio.contracts}
    moved: dict[str, Decimal] = {}
    rows = []
    for row in portfolio.positions:
        currency = terms[row.contract].currency
        if rule.layout != "isolated":
            moved[currency] = moved.get(currency, Decimal(0)) + (row.margin or Decimal(0))
            row = row.model_copy(update={"margin": None, "leverage": None})
        elif row.margin is None:
            pocket = pockets[row.contract]
            moved[currency] = moved.get(currency, Decimal(0)) - pocket
            row = row.model_copy(update={"margin": pocket, "leverage": None})
        rows.append(row)
    cash = {name: Decimal(0) for name in moved}
    for held in portfolio.collateral:
        if held.currency in cash:
            cash[held.currency] += held.amount
    extra = tuple(
        CollateralTerms(currency=name, amount=amount, haircut=cuts.get(name, 0.0))
        for name, amount in moved.items()
        if amount > 0 or (amount < 0 and cash[name] + amount >= 0)
    )
    return portfolio.model_copy(update={"positions": tuple(rows), "collateral": portfolio.collateral + extra})


def _pockets(portfolio: Portfolio, rule: MarginModel) -> dict[str, Decimal]:
    """Pockets of isolated positions that give no margin, settlement currency, by contract."""
    entered = {row.contract: row.entry for row in portfolio.positions}
    opened = portfolio.model_copy(
        update={
            "contracts": tuple(
                one.model_copy(update={"mark": entered[one.name]}) if one.name in entered else one
                for one in portfolio.contracts
            )
        }
    )
    at_entry = evaluate(opened, rule)
    found = {}
    for row in portfolio.positions:
        i = at_entry.number[row.contract]
        if row.leverage is not None:
            found[row.contract] = abs(at_entry.value(i)) / row.leverage
        elif row.margin is None:
            price = at_entry.snapshot.prices[int(at_entry.snapshot.contracts.currency[i])]
            found[row.contract] = at_entry.position_initial[i] / price
    return found


def _alone(
    rule: MarginModel, view: PortfolioView, risk: RiskParameters, money: Any
) -> tuple[dict[int, Decimal], dict[int, Decimal]]:
    """Initial and maintenance requirement of each position standing alone, without orders, by contract number."""
    count = view.lots.shape[1]
    each = np.arange(count)
    none = np.zeros((count, count), np.int64)
    lots, cost = none.copy(), none.copy()
    lots[each, each], cost[each, each] = view.lots[0], view.cost[0]
    rows = replace(
        view, lots=lots, cost=cost, open_buy=none, open_sell=none, loss_buy=none, loss_sell=none,
        cash=np.repeat(view.cash, count, axis=0), wallets=np.repeat(view.wallets, count, axis=0),
        features={key: np.repeat(column, count, axis=0) for key, column in view.features.items()},
    )  # fmt: skip
    answer = rule.requirement(rows, risk)
    held = view.lots[0] != 0
    return (
        {i: money(answer.initial[i]) if held[i] else Decimal(0) for i in range(count)},
        {i: money(answer.maintenance[i]) if held[i] else Decimal(0) for i in range(count)},
    )


def alone(now: Evaluation) -> tuple[Amounts, Amounts]:
    """Initial and maintenance requirement of each position standing alone, by contract number."""
    initial, maintenance = _alone(now.rule, now.view, now.risk, now.money)
    if now.entry_view is not now.view:
        maintenance = _alone(now.rule, now.entry_view, now.risk, now.money)[1]
    return initial, maintenance


def orders_reserve(now: Evaluation) -> list[Decimal]:
    """What the initial requirement would fall by without each open order."""
    orders = now.portfolio.orders
    without = (
        now.portfolio.model_copy(update={"orders": orders[:place] + orders[place + 1 :]})
        for place in range(len(orders))
    )
    return [now.initial - _initial_of(portfolio, now.rule) for portfolio in without]


def _initial_of(portfolio: Portfolio, rule: MarginModel) -> Decimal:
    if not portfolio.positions and not portfolio.orders:
        return Decimal(0)
    return evaluate(portfolio, rule).initial
