"""Derive's standard margin: each expiry at the better of its short options alone and its largest loss at expiry.

As the venue prints it, the requirement stands against cash: equity without the value of options.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from margin.kernels import standard
from margin.kernels import strategies as kernels
from margin.model import Rule
from margin.pairing import Leg, largest_loss, legs_of
from margin.parameters import NonNegative, Parameters, Positive, Rate
from margin.standard_margin import ShortOptionParameters, short_options
from margin.terms import (
    common_units,
    fixed_point,
    groups,
    mark_price,
    option_value,
    require_kinds,
    settled,
    single_rate,
)
from sim.contracts import ContractTable
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels.state import SPOT


class DeriveStandardParameters(ShortOptionParameters):
    """Parameters of Derive's standard manager."""

    put_initial_factor: Positive = Field(description="initial of a short put is at least so many times its maintenance")
    unpaired_initial: NonNegative = Field(
        description="of the forward, for each net short call, beside the largest loss"
    )
    unpaired_maintenance: NonNegative = Field(description="the same for maintenance")
    perpetual_initial: Rate = Field(description="of a perpetual's value")
    perpetual_maintenance: Rate = Field(description="of a perpetual's value")
    base_factor: Rate = Field(description="part of a coin's value that counts for maintenance")
    base_initial_factor: Rate = Field(description="times this for initial")


class DeriveStandard(Rule):
    """Derive's standard margin: for each expiry the better of short options alone and the largest loss at expiry."""

    Params: ClassVar[type[Parameters]] = DeriveStandardParameters
    index_valid = False
    revalues = True
    separable = True

    def init(self, contracts: ContractTable) -> ModelState:
        """Check what is traded; nothing is remembered.

        Raises:
            ConfigError: a contract is no quote-margined option or perpetual, and no coin.
        """
        require_kinds(contracts, ("linear_option", "linear_perpetual", "spot"), self.name or "derive_sm")
        self.contracts = contracts
        return {}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Integer terms of one unit of each contract, for initial and maintenance."""
        p, contracts = self.params, self.contracts
        option, price, spot = contracts.is_option, mark_price(contracts, market.mark), np.asarray(market.spot)
        years = np.asarray(market.time_to_expiry)
        members, starts = groups(list(zip(contracts.underlying, contracts.currency, years, option, strict=True)))
        units, unit = common_units(contracts, members, starts)
        strike = np.where(option, contracts.strike, 0.0)
        shorts = short_options(p, contracts.option, spot, strike, price, spot, p.put_initial_factor)
        coin = contracts.kind == SPOT
        base = (1.0 - p.base_factor * p.base_initial_factor, 1.0 - p.base_factor)
        perpetual = (p.perpetual_initial, p.perpetual_maintenance)
        unpaired = (p.unpaired_initial, p.unpaired_maintenance)
        columns = []
        for k in range(2):
            other = np.where(coin, base[k], perpetual[k]) * price
            columns += [
                np.where(option, shorts[k], other),
                np.where(option, 0.0, other),
                np.where(option, price, 0.0),
                strike,
                np.where(option, unpaired[k] * np.asarray(market.forward), 0.0),
            ]
        amounts, bits = fixed_point(
            np.column_stack(columns) * unit[:, None], contracts.minor[contracts.currency], "margin.standard"
        )
        tables = []
        for half in (amounts[:, :5], amounts[:, 5:]):
            table = np.zeros((len(units), kernels.TERMS), np.int64)
            table[:, kernels.T_KIND] = np.where(option, contracts.option, kernels.STOCK_LEG)
            table[:, kernels.T_UNITS], table[:, kernels.T_CURRENCY] = units, contracts.currency
            table[:, [kernels.T_SHORT, kernels.T_LONG, kernels.T_PREMIUM, kernels.T_STRIKE, kernels.T_COVERED]] = half
            tables.append(table)
        value = np.where(option, spot, price)
        risk = RiskParameters(
            rate_initial=single_rate(columns[0], value),
            rate_maintenance=single_rate(columns[5], value),
            arrays={"initial": tables[0], "maintenance": tables[1], "members": members, "starts": starts,
                    "bits": np.array([bits], np.int64)},
        )  # fmt: skip
        return risk, state

    def _held(self, which: str, lots: np.ndarray, portfolio: PortfolioView, risk: RiskParameters) -> np.ndarray:
        arrays = risk.arrays
        answer: np.ndarray = standard.expiry_requirement(
            arrays[which], arrays["members"], arrays["starts"], lots, portfolio.conversion, int(arrays["bits"][0])
        )
        return answer

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units, from the compiled evaluator."""
        positions = self._held("initial", portfolio.lots, portfolio, risk)
        initial = positions.copy()
        # a long option that an open order may sell limits no loss
        kept = portfolio.lots - np.minimum(portfolio.open_sell, np.maximum(portfolio.lots, 0))
        changed = np.flatnonzero((kept != portfolio.lots).any(axis=1))
        if len(changed):
            initial[changed] = np.maximum(initial[changed], self._held("initial", kept[changed], portfolio, risk))
        initial += kernels.order_reserve(
            risk.arrays["initial"], portfolio.lots, portfolio.open_buy, portfolio.open_sell, portfolio.loss_buy,
            portfolio.loss_sell, portfolio.conversion, int(risk.arrays["bits"][0]),
        )  # fmt: skip
        return Requirement(
            initial=initial,
            maintenance=self._held("maintenance", portfolio.lots, portfolio, risk),
            parts={"positions": positions, "open_orders": initial - positions},
            equity_excluded=option_value(portfolio),
        )

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The same to the unit, with a part for each expiry (which of the two ways) and each other contract."""
        answer = self.requirement(portfolio, risk)
        resting = answer.parts["open_orders"]
        parts, total = self._by_expiry(portfolio, risk, "initial")
        answer.initial, answer.parts = total + resting, parts | {"open orders": resting}
        answer.maintenance_parts, answer.maintenance = self._by_expiry(portfolio, risk, "maintenance")
        return answer

    def _by_expiry(
        self, portfolio: PortfolioView, risk: RiskParameters, which: str
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        bits, accounts = int(risk.arrays["bits"][0]), len(portfolio.lots)
        sums: list[dict[int, int]] = [{} for _ in range(accounts)]
        parts: dict[str, np.ndarray] = {}
        for a in range(accounts):
            for members, legs in legs_of(portfolio, risk, a, which):
                k = int(portfolio.contracts.currency[members[0]])
                for name, amount in expiry_parts(legs):
                    sums[a][k] = sums[a].get(k, 0) + amount
                    converted = (amount * int(portfolio.conversion[k])) >> (32 + bits)
                    parts.setdefault(name, np.zeros(accounts, np.int64))[a] += converted
        return settled(parts, sums, portfolio, bits)


def expiry_parts(legs: list[Leg]) -> list[tuple[str, int]]:
    """What one group asks, by name: options of one expiry together, anything else by value.

    Args:
        legs: of one underlying, currency and expiry; ``covered`` of a call is the charge of one net short call.

    Returns:
        Names and ``2**-bits`` minor units.
    """
    options = [leg for leg in legs if leg.kind != "stock"]
    found = [(leg.name, abs(leg.units) * leg.alone) for leg in legs if leg.kind == "stock"]
    if options:
        names = " / ".join(leg.name for leg in options)
        alone = sum(abs(leg.units) * leg.alone for leg in options)
        calls = [leg for leg in options if leg.kind == "call"]
        net = sum(leg.units for leg in calls)
        loss = largest_loss(options) + (-net * calls[0].covered if net < 0 else 0)
        found.append((f"largest loss: {names}", loss) if loss < alone else (f"short options alone: {names}", alone))
    return found
