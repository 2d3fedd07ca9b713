"""Noise takers: small market orders whose signs have long memory, because each trader works through a parent order.

Every row is one trader with one parent order of Pareto length at a time; a child order picks a row at random and takes
its sign (Lillo, Mike & Farmer 2005, Physical Review E 71:066122). The rate of children follows the exogenous activity.
A child takes at most what rests at the best price as seen at the start of the step, and by default its limit is that
price, so that noise alone does not walk the book. With market orders instead, children of one step that arrive one
after another empty several levels, and volume and volatility are much larger.

With ``feedback`` part of the rate answers to the market: every trader compares the price with its own exponential
average, the horizons spread from minutes to days, and the further the price has gone the more orders come, squared
distances in units of what a random walk would show. Moves breed orders and orders breed moves (quadratic Hawkes
processes: Blanc, Donier & Bouchaud 2017, Quantitative Finance 17:171-188; horizons of many lengths: Mueller et al.
1997, Journal of Empirical Finance 4:213-239), so that volatility clusters on all these scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk
from agents.kernels import noise as kernels
from agents.kernels.rows import DRAW_COUNT, DRAW_EVENT, DRAW_ROW, DRAW_SETUP, log_mid_before, uniforms_of_rows
from agents.registry import register
from sim.clock import IN_STEPS, PER_STEP
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
    feedback: float = Field(
        0.0, ge=0, lt=1, description="part of the rate that answers to the price's distance from its past averages"
    )
    feedback_volatility: float = Field(
        0.03, gt=0, description="volatility per square root of a day at which feedback leaves the mean rate as it is"
    )
    feedback_shortest: float = Field(
        10.0,
        ge=1,
        description="shortest mean age of a trader's average of the price (log-uniform over traders), steps",
        json_schema_extra=IN_STEPS,
    )
    feedback_longest: float = Field(
        1440.0, ge=1, description="longest mean age of an average, steps", json_schema_extra=IN_STEPS
    )
    feedback_most: float = Field(10.0, ge=1, description="largest factor that feedback can reach, before its part")

    @model_validator(mode="after")
    def _ordered(self) -> NoiseParams:
        if self.feedback_shortest > self.feedback_longest:
            raise ValueError("feedback_shortest at most feedback_longest")
        return self


def _excitement(desk: Desk) -> float:
    """Factor on the rate, in words: mean squared distance of the price from the traders' averages of it."""
    p, now = desk.p, desk.quote.log_mid(0)
    total = 0.0
    for row in range(desk.count):
        trader = desk.trader(row)
        weight = trader.weight
        trader.average += weight * (now - trader.average)
        gap = now - trader.average
        total += gap * gap * weight * (2.0 - weight) / ((1.0 - weight) * (1.0 - weight))
    return float(1.0 - p.feedback + p.feedback * min(total / (desk.count * p.feedback_variance), p.feedback_most))


def decide(desk: Desk) -> None:
    """The child orders of one step, in words."""
    p, quote = desk.p, desk.quote
    mean = p.arrivals * desk.activity
    if p.feedback > 0:
        mean *= _excitement(desk)
    children = keyed.poisson(desk.uniform(DRAW_COUNT, desk.step, 0), mean)
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
    average = column("trader_floats", kernels.AVERAGE, "Own average of the logarithm of the mid, with feedback.")


@register("noise")
class NoiseTakers(Population):
    """Takers who split large parent orders into small market orders."""

    Params = NoiseParams
    View = NoiseTaker
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
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
            "feedback": p.feedback,
            "feedback_variance": p.feedback_volatility * p.feedback_volatility / setup.steps_per_day,
            "feedback_most": p.feedback_most,
        }

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Give every trader a parent order, and a horizon over which it averages the price."""
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        kernels.first_parents(
            setup.state, setup.first, uniforms, self.params.parent_exponent, float(self.params.parent_longest)
        )
        p = self.params
        # ranks, not draws: horizons are spread evenly however few the traders are
        ranks = (np.arange(self.count) + 0.5) / self.count
        ages = p.feedback_shortest * np.exp(ranks * np.log(p.feedback_longest / p.feedback_shortest))
        self.column(setup.state, "weight")[:] = 1.0 / (1.0 + ages)
        self.column(setup.state, "average")[:] = log_mid_before(setup.state, self.contract, 0)
