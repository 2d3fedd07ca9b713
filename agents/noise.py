"""Noise takers: small market orders whose signs have long memory, because each trader works through a parent order.

Every row is one trader with one parent order of Pareto length at a time; a child order picks a row at random and takes
its sign (Lillo, Mike & Farmer 2005, Physical Review E 71:066122). The rate of children follows the exogenous activity.
A child takes at most what rests at the best price as seen at the start of the step, and by default its limit is that
price, so that noise alone does not walk the book. With market orders instead, children of one step that arrive one
after another empty several levels, and volume and volatility are much larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk
from agents.kernels import noise as kernels
from agents.kernels.rows import DRAW_COUNT, DRAW_EVENT, DRAW_ROW, DRAW_SETUP, uniforms_of_rows
from agents.registry import register
from sim.clock import PER_STEP
from sim.kernels import keyed, realmath
from sim.kernels.state import IOC, MARKET

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class NoiseParams(PopulationParams):
    """Parameters of noise takers."""

    count: int = Field(200, ge=1, le=10_000_000, description="number of traders, each with one parent order at a time")
    capital_lots: float = Field(20_000.0, gt=0, description="deposit per trader, lots at full value at step 0")
    arrivals: float = Field(
        4.0,
        ge=0,
        le=300,
        description="mean number of child orders per step at activity one",
        json_schema_extra=PER_STEP,
    )
    size_mean: float = Field(2.5, gt=0, description="mean of the lognormal child size, lots")
    size_sigma: float = Field(0.8, ge=0, le=3, description="standard deviation of the logarithm of size")
    parent_exponent: float = Field(1.5, gt=1, le=10, description="tail exponent of the number of children of a parent")
    parent_longest: int = Field(100_000, ge=1, description="most children of a parent")
    walk_ticks: int = Field(
        0, ge=-1, description="children are limit orders this far through the best price; -1: market orders"
    )


def decide(desk: Desk) -> None:
    """The child orders of one step, in words."""
    p, quote = desk.p, desk.quote
    children = keyed.poisson(desk.uniform(DRAW_COUNT, desk.step, 0), p.arrivals * desk.activity)
    for child in range(children):
        u_row, u_size, _, _ = desk.uniform4(DRAW_EVENT, desk.step, child)
        trader = desk.trader(int(u_row * desk.count))
        sign = trader.sign
        trader.remaining -= 1
        if trader.remaining <= 0:  # the parent is done: the next one, whatever became of this one's orders
            u_length, u_sign, _, _ = desk.uniform4(DRAW_ROW, trader.parents, trader.row)
            trader.remaining = int(min(keyed.pareto(u_length, p.parent_exponent), p.parent_longest))
            trader.sign = 1 if u_sign < 0.5 else -1
            trader.parents += 1
        best = quote.ask if sign > 0 else quote.bid
        at_best = quote.depth_at(best) if best >= 0 else 0
        size = keyed.lognormal_of(realmath.normal_quantile(u_size), p.size_mu, p.size_sigma)
        lots = min(max(int(size + 0.5), 1), at_best)
        if lots <= 0:
            continue
        if p.walk_ticks < 0:
            desk.send(trader, sign * lots, tif=IOC, flags=MARKET)
        else:
            price = best + sign * int(p.walk_ticks)
            desk.send(trader, sign * lots, tif=IOC, price=min(max(price, 1), quote.max_price))


class NoiseTaker(ViewAgent):
    """A noise taker's view."""

    remaining = column("trader_ints", kernels.REMAINING, "Children left of the parent order.")
    sign = column("trader_ints", kernels.SIGN, "Sign of the parent order.")


@register("noise")
class NoiseTakers(Population):
    """Takers who split large parent orders into small market orders."""

    Params = NoiseParams
    View = NoiseTaker
    PARAMS = kernels.PARAMS
    INTS = kernels.INTS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        p = self.params
        return {
            "arrivals": p.arrivals,
            "size_mu": realmath.ln(p.size_mean) - 0.5 * p.size_sigma * p.size_sigma,
            "size_sigma": p.size_sigma,
            "parent_exponent": p.parent_exponent,
            "parent_longest": p.parent_longest,
            "walk_ticks": p.walk_ticks,
        }

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Give every trader a parent order."""
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        kernels.first_parents(
            setup.state, setup.first, uniforms, self.params.parent_exponent, float(self.params.parent_longest)
        )
