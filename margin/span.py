"""SPAN: the Standard Portfolio Analysis of Risk of futures clearing houses (CME, 1988).

Contracts of one underlying form a combined commodity. Its requirement is

``max(scan risk + calendar spread charges + delivery charge - spread credits, short option minimum)``

and the account's is their sum. :mod:`margin.span_table` publishes the risk arrays and charges,
:mod:`margin.kernels.span` evaluates them for all accounts, :mod:`margin.span_definition` says the same in plain Python.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from margin.grid_rule import AccountRisk, GridRule, orders_of
from margin.kernels.span import DELTA_BITS, SPREAD_BITS, lanes_risk
from margin.kernels.span import span as _span_kernel
from margin.revaluation import conversion_of, converted
from margin.span_definition import account_risk
from margin.span_parameters import PARTNER, SpanParameters
from margin.span_table import publish_arrays
from sim.contracts import ContractTable
from sim.interfaces import MarketView, PortfolioView, RiskParameters


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
        in_lanes: float64[C], the same where a delta and its charge are multiplied in float64.
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
    in_lanes: np.ndarray

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
        charges = delta * spread_largest[group] + delta * delivery[arrays["tier"]]
        least = np.full(groups, np.inf)
        np.minimum.at(least, arrays["leg_group"], np.abs(arrays["leg_ratio"]).astype(np.float64))
        heaviest = 4.0 * np.abs(profit).max(axis=1).astype(np.float64) + short_minimum
        heaviest += delta * (1.0 + (1 << SPREAD_BITS) / least[group]) + charges / (1 << DELTA_BITS)
        return cls(
            conversion, column, start, profit, short_minimum, spread_charge, spread_largest, delivery, heaviest,
            heaviest + charges,
        )  # fmt: skip


class Span(GridRule):
    """SPAN requirements."""

    Params = SpanParameters

    def arrays(self, market: MarketView, contracts: ContractTable) -> dict[str, np.ndarray]:
        """Risk arrays, deltas and charges (see :func:`margin.span_table.publish_arrays`)."""
        return publish_arrays(self.params, contracts, market)

    def compiled(self, portfolio: PortfolioView, risk: RiskParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All accounts at once."""
        arrays, table = risk.arrays, Table.of(portfolio, risk.arrays)
        column = table.column
        rows = np.ascontiguousarray(table.profit[column])
        held, *orders = orders_of(portfolio)
        delta, tier, short_minimum = arrays["delta"][column], arrays["tier"][column], table.short_minimum[column]
        legs = arrays["spread_legs"].reshape(-1, 2)
        credit = (arrays["credit_start"], arrays["leg_group"], arrays["leg_ratio"], arrays["credit_rate"])
        risk_of, bound = np.empty(len(held)), np.empty(len(held))
        lanes_risk(
            held, column, table.start, rows.astype(np.float64), PARTNER, delta, tier, arrays["tier_start"],
            arrays["spread_start"], legs, table.spread_charge, table.delivery, short_minimum, *credit,
            table.in_lanes[column], risk_of, bound,
        )  # fmt: skip
        initial, maintenance, left = _span_kernel(
            held, *orders, table.conversion, column, table.start, rows, PARTNER, delta, tier, arrays["tier_start"],
            arrays["spread_start"], legs, table.spread_charge, table.spread_largest, table.delivery, short_minimum,
            *credit, int(arrays["factor"][0]), table.heaviest[column], risk_of, bound,
        )  # fmt: skip
        return initial, maintenance, left

    def account_risk(self, portfolio: PortfolioView, risk: RiskParameters, account: int) -> AccountRisk:
        """One account in plain integers (see :mod:`margin.span_definition`)."""
        return account_risk(portfolio, risk.arrays, Table.of(portfolio, risk.arrays), account)

    def scenario_names(self, risk: RiskParameters) -> tuple[str, ...]:
        """Price and volatility move of each scenario, in scan ranges."""
        return self.params.names()
