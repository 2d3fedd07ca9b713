"""News traders: fast capital that takes the quotes which a move of the value has left behind.

They compare the market not with the level of value but with its *change*: fair is the mid some steps ago, moved by
what the value has moved since. So they make prices follow news within minutes, as snipers of stale quotes do (Budish,
Cramton & Shim 2015, Quarterly Journal of Economics 130:1547-1621), and leave alone what order flow has done to the
level. Value arbitrageurs, who trade against the level, make prices follow too, but undo the impact of large orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk
from agents.kernels import news_traders as kernels
from agents.kernels.rows import DRAW_SETUP, uniforms_of_rows
from agents.registry import MarketInfo, register
from sim.clock import IN_STEPS
from sim.kernels import realmath
from sim.kernels.state import IOC

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class NewsTraderParams(PopulationParams):
    """Parameters of news traders."""

    count: int = Field(10, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(20_000.0, gt=0, description="deposit per trader, lots at full value at step 0")
    period: int = Field(
        1, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    horizon: int = Field(
        1, ge=1, le=1_000_000, description="steps over which the value's move is news", json_schema_extra=IN_STEPS
    )
    threshold: float = Field(0.0002, ge=0, le=0.5, description="mean distance from fair that is left alone, fraction")
    threshold_spread: float = Field(0.5, ge=0, le=1, description="thresholds lie within +-this share of their mean")
    child_lots: int = Field(50, ge=1, description="largest order, lots")
    inventory_lots: int = Field(5000, ge=1, description="largest position, lots")
    unwind_lots: int = Field(10, ge=0, description="largest order that gives inventory back at fair, lots")


def decide(desk: Desk) -> None:
    """The decision of every waking trader, in words."""
    p, quote = desk.p, desk.quote
    child, unwind, limit, horizon = (
        int(x) for x in (p.child_lots, p.unwind_lots, p.inventory_lots, p.horizon)
    )  # fmt: skip
    if desk.step < horizon:
        return
    news = desk.ln(quote.value) - desk.ln(float(desk.state.value[desk.step - horizon, desk.contract]))
    fair = realmath.exp(quote.log_mid(horizon - 1) + news)
    for trader in desk.waking():
        inventory = trader.lots()
        cheap, dear = floor(fair * (1 - trader.threshold)), ceil(fair * (1 + trader.threshold))
        lots, price = 0, 0
        if news > 0 and 0 <= quote.ask <= cheap:
            lots, price = min(child, limit - inventory), cheap
        elif news < 0 and quote.bid >= 0 and quote.bid >= dear:
            lots, price = -min(child, limit + inventory), dear
        elif inventory > 0 and quote.bid >= ceil(fair):
            lots, price = -min(inventory, unwind), ceil(fair)
        elif inventory < 0 and 0 <= quote.ask <= floor(fair):
            lots, price = min(-inventory, unwind), floor(fair)
        if lots and 1 <= price <= quote.max_price:
            desk.send(trader, lots, tif=IOC, price=price)


class NewsTrader(ViewAgent):
    """A news trader's view."""

    threshold = column("trader_floats", kernels.THRESHOLD, "Distance from fair that is left alone, fraction.")


@register("news_traders")
class NewsTraders(Population):
    """Trade on what the value has moved and the market has not."""

    Params = NewsTraderParams
    View = NewsTrader
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def __init__(self, name: str, params: NewsTraderParams, market: MarketInfo) -> None:
        """Take checked parameters; the market keeps mids for the horizon."""
        super().__init__(name, params, market)
        self.history = params.horizon

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        return {name: getattr(self.params, name) for name in kernels.PARAMS}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw thresholds."""
        p = self.params
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        factor = 1.0 + p.threshold_spread * (2.0 * uniforms[:, 0] - 1.0)
        self.column(setup.state, "threshold")[:] = p.threshold * factor
