"""Market makers: small, with inventory limits, wider in volatile times and gone in very volatile ones.

Small on purpose: a maker that refills the book around the mid at once makes price impact linear and returns
superdiffusive. Without any, the spread explodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent
from agents.desk import Desk
from agents.kernels import market_makers as kernels
from agents.kernels.rows import DRAW_ROW
from agents.registry import register
from sim.clock import IN_STEPS, PER_ROOT_STEP
from sim.kernels.state import CANCEL_ALL, CLOSED, M_MAKERS_WITHDRAWN_UNTIL, POST_ONLY

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class MarketMakerParams(PopulationParams):
    """Parameters of market makers."""

    count: int = Field(1, ge=1, le=10_000_000, description="number of makers")
    capital_lots: float = Field(2000.0, gt=0, description="deposit per maker, lots at full value at step 0")
    period: int = Field(1, ge=1, le=1_000_000, description="steps between requotes", json_schema_extra=IN_STEPS)
    levels: int = Field(3, ge=1, le=100, description="levels quoted on each side")
    level_ticks: int = Field(1, ge=1, description="ticks between levels")
    first_lots: float = Field(2.0, gt=0, description="lots at the best level")
    more_lots: float = Field(1.0, ge=0, description="lots added from level to level")
    half_spread_ticks: float = Field(1.0, gt=0, description="half-spread in a market that does not move, ticks")
    spread_per_sigma: float = Field(
        0.25,
        ge=0,
        description="half-spread added per standard deviation of a step's move",
        json_schema_extra=PER_ROOT_STEP,
    )
    inventory_lots: int = Field(40, ge=1, description="largest position, lots")
    skew: float = Field(1.0, ge=0, description="shift of the quotes at full inventory, in half-spreads")
    calm_ratio: float = Field(
        1.5, gt=0, description="sizes fall as (calm_ratio x slow volatility / fast volatility) squared once below one"
    )
    quit_ratio: float = Field(3.75, gt=0, description="quits while fast volatility exceeds this multiple of slow")


def decide(desk: Desk) -> None:
    """The requote of every waking maker, in words."""
    p, quote = desk.p, desk.quote
    fast, slow = quote.variance_fast, quote.variance_slow
    absent = desk.meta[M_MAKERS_WITHDRAWN_UNTIL] > desk.step or fast > p.quit_ratio * p.quit_ratio * slow
    size_factor = min(p.calm_ratio * p.calm_ratio * slow / fast, 1.0) if fast > 0 else 1.0
    half_spread = p.half_spread_ticks + p.spread_per_sigma * sqrt(fast) * quote.mid
    for maker in desk.waking():
        if maker.resting_orders:
            desk.send(maker, 0, kind=CANCEL_ALL)
        if absent or maker.status == CLOSED:
            continue
        inventory = maker.lots()
        centre = quote.mid - p.skew * half_spread * inventory / p.inventory_lots
        quotes = [
            (1, floor(centre - half_spread), int(p.inventory_lots) - inventory),
            (-1, -floor(-centre - half_spread), int(p.inventory_lots) + inventory),
        ]
        # a maker's messages arrive in its own order, so the side sent first stands longer and trades more: draw it
        if desk.uniform(DRAW_ROW, desk.step, maker.row) < 0.5:
            quotes.reverse()
        for side, nearest, room in quotes:
            for level in range(int(p.levels)):
                price = nearest - side * level * int(p.level_ticks)
                size = int((p.first_lots + level * p.more_lots) * size_factor + 0.5)
                lots = min(max(size, 1), room)  # a maker who quotes at all quotes a lot
                if lots <= 0 or not 1 <= price <= quote.max_price:
                    break
                desk.send(maker, side * lots, tif=POST_ONLY, price=price)
                room -= lots


@register("market_makers")
class MarketMakers(Population):
    """Quote both sides, widen and withdraw when volatility rises."""

    Params = MarketMakerParams
    View = ViewAgent
    PARAMS = kernels.PARAMS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        return {name: getattr(self.params, name) for name in kernels.PARAMS}
