"""SPAN: the Standard Portfolio Analysis of Risk of futures clearing houses (CME, 1988).

Contracts of one underlying form a combined commodity. Its requirement is

``max(scan risk + calendar spread charges + delivery charge - spread credits, short option minimum)``

and the account's is their sum. :mod:`margin.span_table` publishes the risk arrays and charges,
:mod:`margin.kernels.span` evaluates them for all accounts, :mod:`margin.span_definition` says the same in plain Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from margin import span_definition
from margin.kernels.span import SPREAD_BITS
from margin.kernels.span import span as _span_kernel
from margin.model import Rule
from margin.revaluation import conversion_of, converted, lone_rates
from margin.span_parameters import PARTNER, SpanParameters
from margin.span_table import publish_arrays
from sim.contracts import ContractTable
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters


@dataclass(frozen=True, slots=True)
class Table:
    """The published arrays in the account currency, in contract order and ready for the evaluator.

    Attributes:
        conversion: int64[C], account currency per settlement currency, 2**-32.
        column: int64[C], contracts sorted by commodity.
        start: int64[G + 1], the commodities' places in ``column``.
        profit: int64[C, S], in contract order.
        short_minimum: int64[C].
        spread_charge: int64[N].
        spread_largest: int64[G].
        delivery: int64[T].
        heaviest: float64[C], bound on what one lot adds to any sum.
    """

    conversion: np.ndarray
    column: np.ndarray
    start: np.ndarray
    profit: np.ndarray
    short_minimum: np.ndarray
    spread_charge: np.ndarray
    spread_largest: np.ndarray
    delivery: np.ndarray
    heaviest: np.ndarray

    @classmethod
    def of(cls, portfolio: PortfolioView, arrays: dict[str, np.ndarray]) -> Table:
        """Convert and sort what was published."""
        group = portfolio.contracts.underlying
        groups = len(arrays["reference"])
        column = np.argsort(group, kind="stable").astype(np.int64)
        start = np.searchsorted(group[column], np.arange(groups + 1)).astype(np.int64)
        conversion = conversion_of(portfolio)
        common = conversion[arrays["reference"]]  # of the currency of each commodity's charges
        profit = converted(arrays["profit"], conversion, up=False)
        short_minimum = converted(arrays["short_minimum"], conversion, up=True)
        spread_start = arrays["spread_start"]
        owner = np.repeat(np.arange(groups), np.diff(spread_start))
        spread_charge = converted(arrays["spread_charge"], common[owner], up=True)
        owner = np.repeat(np.arange(groups), np.diff(arrays["tier_start"]))
        delivery = converted(arrays["delivery"], common[owner], up=True)
        spread_largest = np.array(
            [spread_charge[spread_start[g] : spread_start[g + 1]].max(initial=0) for g in range(groups)], np.int64
        )
        delta = np.abs(arrays["delta"]).astype(np.float64)
        per_lot = delta * np.maximum(1.0, spread_largest[group]) + delta * delivery[arrays["tier"]]
        least = np.full(groups, np.inf)
        np.minimum.at(least, arrays["leg_group"], np.abs(arrays["leg_ratio"]).astype(np.float64))
        heaviest = 4.0 * np.abs(profit).max(axis=1).astype(np.float64) + short_minimum + per_lot
        heaviest += delta * (1 << SPREAD_BITS) / least[group]
        return cls(
            conversion, column, start, profit, short_minimum, spread_charge, spread_largest, delivery, heaviest
        )  # fmt: skip


class Span(Rule):
    """SPAN requirements; initial is maintenance times ``initial_ratio``."""

    Params = SpanParameters
    index_valid = False

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.contracts: ContractTable | None = None

    def init(self, contracts: ContractTable) -> ModelState:
        """Nothing is remembered: the risk arrays depend on the market of the step alone."""
        self.contracts = contracts
        return {}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Risk arrays, deltas and charges at the current market (see :func:`margin.span_table.publish_arrays`)."""
        assert self.contracts is not None
        count = np.ones(len(self.contracts.names), np.int64)
        risk = RiskParameters(count, count, arrays=publish_arrays(self.params, self.contracts, market))
        rates = lone_rates(self.contracts, market.mark, self.requirement, risk)
        risk.rate_initial, risk.rate_maintenance = rates
        return risk, state

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units of the account currency."""
        arrays, table = risk.arrays, Table.of(portfolio, risk.arrays)
        rows = np.ascontiguousarray(table.profit[table.column])
        orders = (portfolio.open_buy, portfolio.open_sell, portfolio.loss_buy, portfolio.loss_sell)
        initial, maintenance, left = _span_kernel(
            np.ascontiguousarray(portfolio.lots), *(np.ascontiguousarray(one) for one in orders), table.conversion,
            table.column, table.start, rows.astype(np.float64), rows, PARTNER, arrays["delta"][table.column], arrays["tier"][table.column], arrays["tier_start"],
            arrays["spread_start"], arrays["spread_legs"].reshape(-1, 2), table.spread_charge, table.spread_largest, table.delivery,
            table.short_minimum[table.column], arrays["credit_start"], arrays["leg_group"], arrays["leg_ratio"],
            arrays["credit_rate"], int(arrays["factor"][0]), table.heaviest[table.column],
        )  # fmt: skip
        for account in np.flatnonzero(left):
            found = span_definition.account_risk(portfolio, arrays, table, int(account))
            initial[account], maintenance[account] = found.initial, found.maintenance
        return Requirement(initial=initial, maintenance=maintenance)

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The same to the unit, account by account in plain integers, with every part."""
        table = Table.of(portfolio, risk.arrays)
        accounts = range(len(portfolio.lots))
        found = [span_definition.account_risk(portfolio, risk.arrays, table, a) for a in accounts]
        return span_definition.as_requirement(found, self.params.names())
