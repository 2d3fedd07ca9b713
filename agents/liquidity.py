"""Latent liquidity: many providers whose limit orders form a deep book that renews itself slowly.

Arrival, side, distance, size and lifetime are all exogenous, and the lifetime is fixed at birth: nobody ever cancels "a
random live order", so paired runs keep the same supply. Around the mid, supply follows the price and leaves it free to
wander; ``value_centred`` orders surround the exogenous value instead and may cross the book, which ties the price to a
replayed index.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams
from agents.desk import Desk
from agents.kernels import liquidity as kernels
from agents.kernels.rows import DRAW_COUNT, DRAW_EVENT, band_limits
from agents.registry import register
from sim.clock import IN_STEPS, PER_STEP
from sim.kernels import keyed, realmath
from sim.kernels.state import GTC, POST_ONLY

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class LatentParams(PopulationParams):
    """Parameters of latent liquidity providers."""

    count: int = Field(200, ge=1, le=10_000_000, description="number of accounts that share the supply")
    capital_lots: float = Field(20_000.0, gt=0, description="deposit per account, lots at full value at step 0")
    arrivals: float = Field(
        8.0,
        ge=0,
        le=500,
        description="mean number of orders per step, all accounts together",
        json_schema_extra=PER_STEP,
    )
    depth_ticks: int = Field(2000, ge=1, le=10_000_000, description="farthest distance from the centre, ticks")
    concentration: int = Field(
        1, ge=1, le=8, description="distance is depth_ticks x u ** concentration: 1 is uniform, more is nearer"
    )
    size_mean: float = Field(10.0, gt=0, description="mean of the lognormal order size, lots")
    size_sigma: float = Field(0.8, ge=0, le=3, description="standard deviation of the logarithm of size")
    lifetime: float = Field(
        2000.0, gt=0, description="mean of the exponential lifetime, steps", json_schema_extra=IN_STEPS
    )
    value_centred: bool = Field(False, description="centre orders on the exogenous value and let them cross the book")
    prefill: bool = Field(
        False, description="send arrivals x lifetime orders at the first step: the book starts as deep as it stays"
    )


def decide(desk: Desk) -> None:
    """The orders of one step, in words."""
    p = desk.p
    centre = floor(desk.quote.value * 16 + 0.5) if p.value_centred else desk.quote.mid_subticks
    lowest, highest = (int(price) for price in band_limits(desk.state, desk.contract))
    arrivals = keyed.poisson(desk.uniform(DRAW_COUNT, desk.step, 0), p.arrivals)
    if p.prefill and desk.step == 1:
        arrivals += int(p.arrivals * p.lifetime)
    for order in range(arrivals):
        u_side, u_distance, u_size, u_life = desk.uniform4(DRAW_EVENT, desk.step, order)
        is_buy = u_side < 0.5
        provider = desk.trader(int((2 * u_side if is_buy else 2 * u_side - 1) * desk.count))
        reach = u_distance
        for _ in range(int(p.concentration) - 1):
            reach *= u_distance
        distance = 1 + int(reach * p.depth_ticks)
        # distance 1 is the best price that cannot cross, whether the mid lies on a tick or between two
        price = -(-centre // 16) - distance if is_buy else centre // 16 + distance
        # the band binds the aggressive side only; a passive order may stand as far away as the book reaches
        within = 1 <= price <= highest if is_buy else lowest <= price <= desk.quote.max_price
        if not within:
            continue
        size = keyed.lognormal_of(realmath.normal_quantile(u_size), p.size_mu, p.size_sigma)
        lots = max(int(size + 0.5), 1)
        expiry = desk.step + 1 + int(keyed.exponential(u_life) * p.lifetime)
        desk.send(
            provider,
            lots if is_buy else -lots,
            tif=GTC if p.value_centred else POST_ONLY,
            price=price,
            expiry=expiry,
        )


@register("latent")
class LatentLiquidity(Population):
    """Providers whose limit orders rest for a lifetime fixed at birth."""

    Params = LatentParams
    PARAMS = kernels.PARAMS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        p = self.params
        return {
            "arrivals": p.arrivals,
            "depth_ticks": p.depth_ticks,
            "size_mu": realmath.ln(p.size_mean) - 0.5 * p.size_sigma * p.size_sigma,
            "size_sigma": p.size_sigma,
            "lifetime": p.lifetime,
            "value_centred": p.value_centred,
            "concentration": p.concentration,
            "prefill": p.prefill,
        }
