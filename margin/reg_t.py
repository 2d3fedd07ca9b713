"""Strategy-based margin of listed options and stock: Regulation T, Cboe Rule 10.3, FINRA Rule 4210(f).

Requirements stand, as the rules print them, against equity without the value of options: the premium of a short option
is in its requirement, a long option is paid in full and has no loan value.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from margin.kernels import strategies as kernels
from margin.model import Rule
from margin.pairing import legs_of, strategies
from margin.parameters import FactorPerUnderlying, NamePerUnderlying, NonNegative, Parameters, Rate
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
from sim.errors import ConfigError
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters

_SECONDS_PER_YEAR = 365 * 86400
_NEVER = 1 << 60


class NakedRates(Parameters):
    """Rates of uncovered short options on one class of underlying."""

    rate: Rate = Field(description="of the underlying's value, less what the option is out of the money")
    minimum: Rate = Field(description="at least: of the underlying's value (calls) or of the strike (puts)")


class RegTParameters(Parameters):
    """Parameters of strategy-based margin."""

    rates: dict[str, NakedRates] = Field(min_length=1, description="rates of uncovered options by class of underlying")
    asset_class: NamePerUnderlying = Field(
        "equity", description="class of underlyings that name none; one for all, or by underlying"
    )
    leverage: FactorPerUnderlying = Field(
        1.0, description="leverage of a leveraged fund, multiplies the rates up to 100 %; one for all, or by underlying"
    )
    minimum_per_unit: NonNegative = Field(0.0, description="least requirement of an uncovered option, per share")
    stock_initial: Rate = Field(0.5, description="of the value of stock, long or short")
    stock_long_maintenance: Rate = Field(0.25, description="of the value of long stock")
    stock_short_maintenance: Rate = Field(0.30, description="of the value of short stock")
    protective_rate: Rate = Field(
        0.10, description="maintenance of stock with a long option: of the strike, plus what it is out of the money"
    )
    spreads: Literal["universal", "pairs"] = Field(
        "universal", description="several covered legs as one spread with one largest loss, or two legs at a time"
    )


class RegT(Rule):
    """Strategy-based margin: naked, spread, straddle, covered and protected positions, in the cheapest pairing."""

    Params: ClassVar[type[Parameters]] = RegTParameters
    index_valid = False
    revalues = True
    separable = True

    def init(self, contracts: ContractTable) -> ModelState:
        """Check what is traded; nothing is remembered.

        Raises:
            ConfigError: a contract is neither a quote-margined option nor spot (stock).
        """
        require_kinds(contracts, ("linear_option", "spot"), "reg_t")
        self.contracts = contracts
        return {}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Integer terms of one unit of each contract, for initial and maintenance."""
        contracts = self.contracts
        members, starts = groups(list(zip(contracts.underlying, contracts.currency, strict=True)))
        units, unit = common_units(contracts, members, starts)
        price = mark_price(contracts, market.mark)
        columns = np.concatenate(
            [self._amounts(market, contracts, price, initial) for initial in (True, False)], axis=1
        )
        amounts, bits = fixed_point(columns * unit[:, None], contracts.minor[contracts.currency], "margin.reg_t")
        option = contracts.is_option
        seconds = np.asarray(market.time_to_expiry) * _SECONDS_PER_YEAR
        tables = []
        for half in (amounts[:, :6], amounts[:, 6:]):
            table = np.zeros((len(units), kernels.TERMS), np.int64)
            table[:, kernels.T_KIND] = np.where(option, contracts.option, kernels.STOCK_LEG)
            table[:, kernels.T_UNITS] = units
            table[:, kernels.T_EXPIRY] = np.where(np.isfinite(seconds), np.rint(np.where(option, seconds, 0)), _NEVER)
            table[:, kernels.T_CURRENCY] = contracts.currency
            for place, column in enumerate(
                (kernels.T_SHORT, kernels.T_LONG, kernels.T_PREMIUM, kernels.T_STRIKE, kernels.T_COVERED,
                 kernels.T_PROTECTED)
            ):  # fmt: skip
                table[:, column] = half[:, place]
            tables.append(table)
        risk = RiskParameters(
            rate_initial=single_rate(columns[:, :2].max(axis=1), price),
            rate_maintenance=single_rate(columns[:, 6:8].max(axis=1), price),
            arrays={"initial": tables[0], "maintenance": tables[1], "members": members, "starts": starts,
                    "bits": np.array([bits], np.int64)},
        )  # fmt: skip
        return risk, state

    def _by_underlying(self, key: str, contracts: ContractTable) -> list[Any]:
        """A parameter that is one for all, or by underlying, for each contract."""
        value = getattr(self.params, key)
        if not isinstance(value, dict):
            return [value] * len(contracts.names)
        names = [contracts.underlyings[u] for u in contracts.underlying]
        for name in names:
            if name not in value:
                raise ConfigError.of(f"margin.params.{key}", value, f"a value for {name}, or one for all")
        return [value[name] for name in names]

    def _naked_rates(self, market: MarketView, contracts: ContractTable) -> tuple[np.ndarray, np.ndarray]:
        """Rate and minimum of each contract's class, leverage included, float64[C]."""
        known = self.params.rates
        named = getattr(market, "asset_class", ()) or [""] * len(contracts.names)
        found = np.zeros((len(named), 2))
        for c, (own, default) in enumerate(zip(named, self._by_underlying("asset_class", contracts), strict=True)):
            rates = known.get(own or default)
            if rates is None:
                place = f"underlyings.{contracts.underlyings[contracts.underlying[c]]}.asset_class"
                raise ConfigError.of(place, own or default, "one of " + ", ".join(known))
            found[c] = rates.rate, rates.minimum
        leverage = np.array(self._by_underlying("leverage", contracts))
        return np.minimum(found[:, 0] * leverage, 1.0), np.minimum(found[:, 1] * leverage, 1.0)

    def _amounts(self, market: MarketView, contracts: ContractTable, price: np.ndarray, initial: bool) -> np.ndarray:
        """Per share: short, long, premium, strike, covered, protected; float64[C, 6].

        Uncovered call ``max(m + a S - OTM, m + b S)``, put ``max(m + a S - OTM, m + b K)``; a covered call asks the
        margin of stock valued at no more than the strike and what it is in the money, FINRA Rule 4210(f)(2)(H);
        stock with a long option ``min(10 % K + OTM, rate S)``, (f)(2)(G).
        """
        p = self.params
        option, side = contracts.is_option, contracts.option
        # stock is worth its own mark, an option's underlying its spot price
        spot = np.where(option, np.asarray(market.spot), price)
        strike = np.where(option, contracts.strike, 0.0)
        rate, minimum = self._naked_rates(market, contracts)
        out = np.maximum(side * (strike - spot), 0.0)
        base = np.where(side > 0, spot, strike)
        naked = price + np.maximum(rate * spot - out, minimum * base)
        naked = np.maximum(naked, p.minimum_per_unit)
        long_rate = p.stock_initial if initial else p.stock_long_maintenance
        short_rate = p.stock_initial if initial else p.stock_short_maintenance
        inside = np.maximum(side * (spot - strike), 0.0)
        covered = inside + np.where(side > 0, long_rate * np.minimum(spot, strike), short_rate * spot)
        stock = np.where(side > 0, short_rate, long_rate) * spot  # a long call protects short stock, a put long stock
        protected = stock if initial else np.minimum(p.protective_rate * strike + out, stock)
        columns = (
            np.where(option, naked, short_rate * spot), np.where(option, 0.0, long_rate * spot), price, strike,
            np.where(option, covered, 0.0), np.where(option, protected, 0.0),
        )  # fmt: skip
        return np.column_stack(columns)

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units, from the compiled evaluator."""
        arrays, bits = risk.arrays, int(risk.arrays["bits"][0])
        universal = self.params.spreads == "universal"
        groups_of = (arrays["members"], arrays["starts"])

        def held(which: str, lots: np.ndarray) -> np.ndarray:
            answer: np.ndarray = kernels.held_requirement(
                arrays[which], *groups_of, lots, portfolio.conversion, bits, universal
            )
            return answer

        positions = held("initial", portfolio.lots)
        # what open orders may sell covers nothing
        kept = portfolio.lots - np.minimum(portfolio.open_sell, np.maximum(portfolio.lots, 0))
        kept += np.minimum(portfolio.open_buy, np.maximum(-kept, 0)) * ~portfolio.contracts.is_option
        changed = np.flatnonzero((kept != portfolio.lots).any(axis=1))
        initial = positions.copy()
        if len(changed):
            initial[changed] = np.maximum(initial[changed], held("initial", kept[changed]))
        initial += kernels.order_reserve(
            arrays["initial"], portfolio.lots, portfolio.open_buy, portfolio.open_sell, portfolio.loss_buy,
            portfolio.loss_sell, portfolio.conversion, bits,
        )  # fmt: skip
        return Requirement(
            initial=initial,
            maintenance=held("maintenance", portfolio.lots),
            parts={"positions": positions, "open_orders": initial - positions},
            equity_excluded=option_value(portfolio),
        )

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The same to the unit, with a part for each strategy found (name, legs)."""
        answer = self.requirement(portfolio, risk)
        for which in ("initial", "maintenance"):
            parts, total = self._parts(portfolio, risk, which)
            if which == "maintenance":
                answer.maintenance, answer.maintenance_parts = total, parts
            else:
                resting = answer.parts["open_orders"]
                answer.initial = total + resting
                answer.parts = parts | {"open orders": resting}
        return answer

    def _parts(
        self, portfolio: PortfolioView, risk: RiskParameters, which: str
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        accounts, bits = len(portfolio.lots), int(risk.arrays["bits"][0])
        parts: dict[str, np.ndarray] = {}
        sums: list[dict[int, int]] = [{} for _ in range(accounts)]
        for a in range(accounts):
            for members, legs in legs_of(portfolio, risk, a, which):
                k = int(portfolio.contracts.currency[members[0]])
                for found in strategies(legs, universal=self.params.spreads == "universal"):
                    sums[a][k] = sums[a].get(k, 0) + found.amount
                    amount = (found.amount * int(portfolio.conversion[k])) >> (32 + bits)
                    parts.setdefault(found.label, np.zeros(accounts, np.int64))[a] += amount
        return settled(parts, sums, portfolio, bits)
