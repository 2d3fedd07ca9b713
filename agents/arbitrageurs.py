"""Value arbitrageurs: capital that keeps an index contract at the exogenous value of its index.

They take every order on the wrong side of value by more than a threshold, with limits that stop at the threshold, and
give the inventory back at value or better. With value-centred liquidity they make the simulated market follow a
replayed one; drawdowns and volatility there are read in excess of the value path.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk
from agents.kernels import arbitrageurs as kernels
from agents.kernels.rows import DRAW_SETUP, uniforms_of_rows
from agents.registry import register
from sim.clock import IN_STEPS
from sim.kernels.state import IOC

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class ValueArbitrageurParams(PopulationParams):
    """Parameters of value arbitrageurs."""

    count: int = Field(10, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(20_000.0, gt=0, description="deposit per trader, lots at full value at step 0")
    period: int = Field(
        1, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    threshold: float = Field(0.001, ge=0, le=0.5, description="mean deviation from value that is left alone, fraction")
    threshold_spread: float = Field(0.5, ge=0, le=1, description="thresholds lie within +-this share of their mean")
    child_lots: int = Field(50, ge=1, description="largest order, lots")
    inventory_lots: int = Field(5000, ge=1, description="largest position, lots")
    unwind_lots: int = Field(10, ge=0, description="largest order that gives inventory back at value, lots")


def decide(desk: Desk) -> None:
    """The decision of every waking trader, in words."""
    p, quote = desk.p, desk.quote
    child, unwind, limit = int(p.child_lots), int(p.unwind_lots), int(p.inventory_lots)
    value = quote.value
    for trader in desk.waking():
        inventory = trader.lots()
        cheap, dear = floor(value * (1 - trader.threshold)), ceil(value * (1 + trader.threshold))
        lots, price = 0, 0
        if quote.ask >= 0 and quote.ask <= cheap:
            lots, price = min(child, limit - inventory), cheap
        elif quote.bid >= 0 and quote.bid >= dear:
            lots, price = -min(child, limit + inventory), dear
        elif inventory > 0 and quote.bid >= ceil(value):
            lots, price = -min(inventory, unwind), ceil(value)
        elif inventory < 0 and 0 <= quote.ask <= floor(value):
            lots, price = min(-inventory, unwind), floor(value)
        if lots and 1 <= price <= quote.max_price:
            desk.send(trader, lots, tif=IOC, price=price)


class ValueArbitrageur(ViewAgent):
    """A value arbitrageur's view."""

    threshold = column("trader_floats", kernels.THRESHOLD, "Deviation from value that is left alone, fraction.")


@register("value_arbitrageurs")
class ValueArbitrageurs(Population):
    """Trade the price towards the exogenous value at once."""

    Params = ValueArbitrageurParams
    View = ValueArbitrageur
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        return {name: getattr(self.params, name) for name in kernels.PARAMS}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw thresholds."""
        p = self.params
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        factor = 1.0 + p.threshold_spread * (2.0 * uniforms[:, 0] - 1.0)
        self.column(setup.state, "threshold")[:] = p.threshold * factor
