"""Spread traders: they hold one contract against another, and margin decides how much.

They trade when the price ratio of two contracts is off the ratio of their values, in small children of both legs. The
position is bounded by a leverage and by the margin that the pair takes: a portfolio rule lets the legs offset, rates or
isolated pockets do not, so the same trader is larger under netting. Under a margin call they close.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Quote, Trader
from agents.kernels import spread_traders as kernels
from agents.kernels.rows import DRAW_SETUP, limit_near_mark, normals_of, uniforms_of_rows
from agents.registry import MarketInfo, register
from sim.clock import IN_STEPS
from sim.errors import Problem
from sim.kernels.state import CLOSED, IOC, OPEN, REDUCE_ONLY

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class SpreadTraderParams(PopulationParams):
    """Parameters of spread traders."""

    count: int = Field(20, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(50.0, gt=0, description="deposit per trader, lots at full value at step 0")
    other: str = Field(description="name of the contract of the second leg")
    period: int = Field(
        15, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    entry: float = Field(0.002, ge=0, description="log deviation of the ratio below which no spread is held")
    scale: float = Field(0.01, gt=0, description="log deviation at which the largest spread is held")
    opinion_sigma: float = Field(0.002, ge=0, le=1, description="standard deviation of opinions of the log value ratio")
    leverage: float = Field(12.0, gt=0, le=1000, description="most gross exposure over equity")
    headroom: float = Field(0.7, gt=0, le=1, description="most initial margin of the pair over equity")
    child_lots: int = Field(5, ge=1, description="largest order in the first leg, lots")
    slippage: float = Field(0.004, ge=0, le=0.5, description="limit of orders, fraction beyond the mark")


def _trade(desk: Desk, trader: Trader, contract: int, lots: int) -> None:
    """Send signed lots near the mark, reduce-only where they only reduce."""
    if lots == 0:
        return
    held = trader.lots(contract)
    reduces = lots * held < 0 and abs(lots) <= abs(held)
    price = int(limit_near_mark(desk.state, contract, 1 if lots > 0 else -1, desk.p.slippage))
    desk.send(trader, lots, contract=contract, tif=IOC, flags=REDUCE_ONLY if reduces else 0, price=price)


def decide(desk: Desk) -> None:
    """The decision of every waking trader, in words."""
    p, one = desk.p, desk.quote
    two = Quote(desk.state, int(p.other))
    ratio = one.lot_value / two.lot_value  # lots of the second leg that balance one lot of the first
    margin = kernels.pair_margin(desk.state, one.contract, two.contract, ratio)
    price_ratio = desk.ln(float(one.mid_subticks)) - desk.ln(float(two.mid_subticks))
    excess = price_ratio - (desk.ln(one.value) - desk.ln(two.value))
    child, child_two = int(p.child_lots), floor(p.child_lots * ratio) + 1
    for trader in desk.waking():
        if trader.status == CLOSED:
            continue
        held, held_two = trader.lots(), trader.lots(two.contract)
        deviation = excess - trader.opinion
        target = 0
        if trader.status == OPEN and abs(deviation) > p.entry:
            equity = max(trader.equity, 0)
            most = p.leverage * equity / (one.lot_value + ratio * two.lot_value)
            if margin > 0:
                most = min(most, p.headroom * equity / margin)
            target = floor(0.5 - most * min(max(deviation / p.scale, -1), 1))
        if abs(held * ratio + held_two) > 2 * child_two:  # one leg ran ahead: bring the first back to the second
            target = floor(0.5 - held_two / ratio)
        lots = min(max(target - held, -child), child)
        gap_two = floor(0.5 - (held + lots) * ratio) - held_two
        _trade(desk, trader, one.contract, lots)
        _trade(desk, trader, two.contract, min(max(gap_two, -child_two), child_two))


class SpreadTrader(ViewAgent):
    """A spread trader's view."""

    opinion = column("trader_floats", kernels.OPINION, "Opinion of the log value ratio less its true value.")

    @property
    def lots_other(self) -> int:
        """Signed position in the second leg."""
        population: Any = self.population
        return self.model.state.positions["lots"].item(self.account, population.other)


@register("spread_traders")
class SpreadTraders(Population):
    """Trade the price ratio of two contracts against their value ratio."""

    Params = SpreadTraderParams
    View = SpreadTrader
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def __init__(self, name: str, params: PopulationParams, market: MarketInfo) -> None:
        """Find the second leg."""
        super().__init__(name, params, market)
        self.other = market.contracts.index(self.params.other)

    @classmethod
    def check(cls, params: Any, market: MarketInfo) -> list[Problem]:
        """The second leg must be another contract of the market."""
        found = super().check(params, market)
        first = params.contract or market.contracts[0]
        others = [name for name in market.contracts if name != first]
        if params.other not in others:
            allowed = "one of " + ", ".join(others) if others else "a second contract, which this market has not"
            found.append(Problem("", "other", params.other, allowed))
        return found

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        return {"other": self.other} | {name: getattr(self.params, name) for name in kernels.PARAMS if name != "other"}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw opinions."""
        normals = normals_of(uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count))
        self.column(setup.state, "opinion")[:] = self.params.opinion_sigma * normals[:, 0]
