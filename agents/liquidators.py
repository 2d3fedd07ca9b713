"""Liquidators: agents with capital of their own who take over failing positions at a discount.

Their offers are tried before the book when the exchange liquidates. What they take they sell on in child orders, each
marked with its cause, so a cascade may also run through their hands. Offers grow dearer with volatility and with the
inventory they already hold, and end where inventory limit, leverage or initial margin ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent
from agents.desk import Desk
from agents.kernels import liquidators as kernels
from agents.kernels.rows import limit_near_mark
from agents.registry import register
from sim.kernels.state import CAUSE_LIQUIDATOR, IOC, OPEN, RATE_ONE, REDUCE_ONLY

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class LiquidatorParams(PopulationParams):
    """Parameters of liquidators."""

    count: int = Field(5, ge=1, le=10_000_000, description="number of liquidators")
    capital_lots: float = Field(100.0, gt=0, description="deposit per liquidator, lots at full value at step 0")
    period: int = Field(5, ge=1, le=1_000_000, description="steps between the child orders that unwind inventory")
    discount: float = Field(0.005, ge=0, lt=1, description="discount to the mark asked for in a calm market, fraction")
    discount_per_sigma: float = Field(3.0, ge=0, description="discount added per standard deviation of a step's return")
    discount_at_limit: float = Field(0.01, ge=0, lt=1, description="discount added at full inventory, fraction")
    discount_most: float = Field(0.2, ge=0, lt=1, description="largest discount, fraction")
    inventory_lots: int = Field(200, ge=1, description="largest position, lots")
    bid_lots: int = Field(50, ge=1, description="largest offer per step and side, lots")
    unwind_lots: int = Field(5, ge=1, description="largest child order, lots")
    leverage: float = Field(3.0, gt=0, le=1000, description="most exposure over equity")
    headroom: float = Field(0.8, gt=0, le=1, description="exposure never exceeds equity x headroom / initial rate")
    slippage: float = Field(0.01, ge=0, le=0.5, description="limit of child orders, fraction beyond the mark")


def decide(desk: Desk) -> None:
    """Every liquidator's offers, and the child orders of those whose turn it is, in words."""
    p, quote = desk.p, desk.quote
    calm_discount = p.discount + p.discount_per_sigma * sqrt(quote.variance_fast)
    for trader in desk.traders():
        if trader.status != OPEN:
            continue
        capacity, equity = 0, trader.equity
        if equity > 0:
            leverage = p.leverage
            if quote.rate_initial > 0:
                leverage = min(leverage, p.headroom / quote.rate_initial)
            capacity = min(int(leverage * equity / quote.lot_value), int(p.inventory_lots))
        for side in (1, -1):
            stock = side * trader.lots()
            lots = min(int(p.bid_lots), capacity - stock)
            if lots > 0:
                discount = calm_discount + p.discount_at_limit * (max(stock, 0) / p.inventory_lots)
                desk.offer(trader, side, lots, int(min(discount, p.discount_most) * RATE_ONE + 0.5))
    for trader in desk.waking():
        lots = -min(max(trader.lots(), -int(p.unwind_lots)), int(p.unwind_lots))
        if lots:
            price = int(limit_near_mark(desk.state, desk.contract, 1 if lots > 0 else -1, p.slippage))
            desk.send(trader, lots, tif=IOC, flags=REDUCE_ONLY, price=price, cause=CAUSE_LIQUIDATOR)


@register("liquidators")
class Liquidators(Population):
    """Bid for positions of failing accounts and unwind them in the book."""

    Params = LiquidatorParams
    View = ViewAgent
    PARAMS = kernels.PARAMS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        return {name: getattr(self.params, name) for name in kernels.PARAMS}
