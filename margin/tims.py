"""TIMS: risk-based portfolio margin of securities accounts (OCC; FINRA Rule 4210(g)).

Every contract is revalued at ten valuation points of its underlying. Contracts of one underlying form a class and net
fully; classes of a product group net to a percentage; the requirement is the greatest loss of each product group, at
least a minimum per contract.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from margin.grid_rule import AccountRisk, GridRule, losses, orders_of, own_loss
from margin.kernels.tims import tims as _tims_kernel
from margin.parameters import NonNegative, NonNegativePerContract, Parameters
from margin.revaluation import Terms, by_name, conversion_of, converted
from sim.contracts import ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import MarketView, PortfolioView, RiskParameters
from sim.kernels.state import RATE_ONE, SPOT

Move = Annotated[float, Field(ge=-1.0, le=10.0, allow_inf_nan=False)]
_RANGES: dict[str, tuple[float, float]] = {
    "high_cap_broad_index": (-0.08, 0.06),
    "broad_index": (-0.10, 0.10),
    "narrow_index": (-0.15, 0.15),
    "equity": (-0.15, 0.15),
}


class ProductGroup(Parameters):
    """``[[margin.params.product_groups]]``: underlyings whose classes may offset each other."""

    underlyings: tuple[str, ...] = Field(min_length=2)
    offset: float = Field(ge=0.0, le=1.0, description="part of a class's gain that offsets other classes' losses")


class TimsParameters(Parameters):
    """Parameters of :class:`Tims`."""

    ranges: dict[str, tuple[Move, Move]] = Field(
        default_factory=lambda: dict(_RANGES), description="lowest and highest move by asset class, fractions of price"
    )
    classes: dict[str, str] = Field(
        default_factory=dict, description="asset class by contract or underlying; goes before the portfolio's own"
    )
    default_class: str = Field("equity", description="asset class where none is given")
    points: int = Field(10, ge=2, le=60, description="valuation points, an even number")
    spacing: Literal["per_side", "even"] = Field(
        "per_side", description="half of the points equally spaced on each side, or all of them over the whole range"
    )
    volatility_shift: float = Field(0.0, ge=-1.0, le=5.0, description="added to implied volatility at every point")
    lookahead_days: NonNegative = Field(0.0, description="days that pass until options are revalued")
    product_groups: tuple[ProductGroup, ...] = Field((), description="classes that offset; others stand alone")
    minimum: NonNegativePerContract = Field(
        0.375, description="least charge per unit of each contract but spot, price units"
    )
    initial_ratio: float = Field(1.0, ge=1.0, le=100.0, description="initial over maintenance requirement")

    @model_validator(mode="after")
    def _ranges_hold_zero(self) -> TimsParameters:
        if any(low >= 0.0 or high <= 0.0 for low, high in self.ranges.values()):
            raise ValueError("ranges from below zero to above zero")
        if self.points % 2:
            raise ValueError("an even number of points")
        if self.default_class not in self.ranges:
            raise ValueError("a default_class that ranges name")
        return self

    def moves(self, asset_class: str) -> np.ndarray:
        """Valuation points of an asset class, float64[points], from the lowest."""
        low, high = self.ranges[asset_class]
        if self.spacing == "even":
            return np.linspace(low, high, self.points)
        side = np.arange(1, self.points // 2 + 1) / (self.points // 2)
        return np.concatenate([low * side[::-1], high * side])


class Tims(GridRule):
    """TIMS requirements: per product group the greatest loss over the valuation points, at least the minimum."""

    Params = TimsParameters

    def _asset_classes(self, market: MarketView, contracts: ContractTable) -> list[str]:
        params = self.params
        unknown = sorted(set(params.classes) - {*contracts.names, *contracts.underlyings})
        if unknown:
            allowed = "names of contracts or underlyings: " + ", ".join((*contracts.names, *contracts.underlyings))
            raise ConfigError.of("margin.params.classes", unknown, allowed)
        own: Any = getattr(market, "asset_class", ()) or [""] * len(contracts.names)
        found = []
        for c, name in enumerate(contracts.names):
            about = contracts.underlyings[contracts.underlying[c]]
            chosen = params.classes.get(name, params.classes.get(about, own[c] or params.default_class))
            if chosen not in params.ranges:
                allowed = "one of " + ", ".join(params.ranges)
                raise ConfigError.of(f"asset class of {name}", chosen, allowed)
            found.append(chosen)
        return found

    def arrays(self, market: MarketView, contracts: ContractTable) -> dict[str, np.ndarray]:
        """By contract c: ``profit`` [C, S], ``product`` [C], ``minimum`` [C]; by product group ``offset`` [P]."""
        params, terms = self.params, Terms.of(contracts, market)
        move = np.array([params.moves(one) for one in self._asset_classes(market, contracts)])
        shift = np.full(move.shape, params.volatility_shift)
        profit = terms.profits(move * terms.price[:, None], shift, np.ones(params.points), params.lookahead_days)
        product = np.full(len(contracts.underlyings), -1, np.int64)
        offset = []
        for i, group in enumerate(params.product_groups):
            for name in group.underlyings:
                if name not in contracts.underlyings:
                    continue  # a group may name more than is traded here
                g = contracts.underlyings.index(name)
                if product[g] >= 0:
                    allowed = "underlyings that stand in one product group"
                    raise ConfigError.of(f"margin.params.product_groups[{i}].underlyings", name, allowed)
                product[g] = i
            offset.append(rate_to_units(group.offset))
        for g in np.flatnonzero(product < 0).tolist():
            product[g] = len(offset)
            offset.append(RATE_ONE)
        least = by_name("minimum", params.minimum, contracts) * terms.units * terms.minor_per_quote
        least = np.where(contracts.kind == SPOT, 0.0, least)
        return {
            "profit": profit,
            "product": product[contracts.underlying],
            "offset": np.array(offset, np.int64),
            "minimum": np.ceil(np.round(least * 1024.0, 6)).astype(np.int64),
            "factor": np.array([rate_to_units(params.initial_ratio)], np.int64),
        }

    def compiled(self, portfolio: PortfolioView, risk: RiskParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All accounts at once."""
        arrays, conversion = risk.arrays, conversion_of(portfolio)
        group, product = portfolio.contracts.underlying, arrays["product"]
        column = np.lexsort((group, product)).astype(np.int64)
        begins = np.flatnonzero(np.diff(group[column], prepend=-1))
        class_start = np.append(begins, len(column)).astype(np.int64)
        owner = product[column][begins]
        firsts = np.flatnonzero(np.diff(owner, prepend=-1))
        product_start = np.append(firsts, len(owner)).astype(np.int64)
        rows = np.ascontiguousarray(converted(arrays["profit"], conversion, up=False)[column])
        minimum = converted(arrays["minimum"], conversion, up=True)[column]
        heaviest = np.abs(rows).max(axis=1).astype(np.float64) + minimum
        initial, maintenance, left = _tims_kernel(
            *orders_of(portfolio), conversion, column, class_start, product_start, rows.astype(np.float64), rows,
            arrays["offset"][owner[firsts]], minimum, int(arrays["factor"][0]), heaviest,
        )  # fmt: skip
        return initial, maintenance, left

    def account_risk(self, portfolio: PortfolioView, risk: RiskParameters, account: int) -> AccountRisk:
        """One account in plain integers."""
        arrays, conversion = risk.arrays, conversion_of(portfolio)
        profit = converted(arrays["profit"], conversion, up=False)
        minimum = converted(arrays["minimum"], conversion, up=True).tolist()
        parts = {"greatest_loss": 0, "minimum_charge": 0}
        total_loss = [0] * profit.shape[1]
        with_orders = 0
        for p in sorted(set(arrays["product"].tolist())):
            members = np.flatnonzero(arrays["product"] == p).tolist()
            offset = int(arrays["offset"][p])
            held, least = self._product(portfolio, profit, minimum, account, members, offset, ordered=False)
            worst = max(0, *held)
            parts["greatest_loss"] += worst
            parts["minimum_charge"] += max(least - worst, 0)
            total_loss = [a + b for a, b in zip(total_loss, held, strict=True)]
            reserved, least = self._product(portfolio, profit, minimum, account, members, offset, ordered=True)
            with_orders += max(least, *reserved)
        own = own_loss(portfolio, account, conversion)
        return AccountRisk.of(parts, with_orders, own, int(arrays["factor"][0]), total_loss)

    @staticmethod
    def _product(
        portfolio: PortfolioView, profit: np.ndarray, minimum: list[int], account: int, members: list[int],
        offset: int, *, ordered: bool,
    ) -> tuple[list[int], int]:  # fmt: skip
        """Loss of a product group per point, gains of a class counted to the offset, and its minimum; fine units."""
        classes = portfolio.contracts.underlying
        found = [0] * profit.shape[1]
        for g in sorted({int(classes[c]) for c in members}):
            own = [c for c in members if classes[c] == g]
            for s, loss in enumerate(losses(portfolio, profit, account, own, ordered=ordered)):
                found[s] += loss if loss >= 0 else -(-loss * offset >> 32)
        least = 0
        for c in members:
            lots = int(portfolio.lots[account, c])
            sizes = [abs(lots)]
            if ordered:
                sizes = [
                    abs(lots + int(portfolio.open_buy[account, c])),
                    abs(lots - int(portfolio.open_sell[account, c])),
                ]
            least += max(sizes) * minimum[c]
        return found, least

    def scenario_names(self, risk: RiskParameters) -> tuple[str, ...]:
        """The points, from the lowest to the highest move of each class."""
        return tuple(f"point {s + 1}" for s in range(self.params.points))
