"""Makers who look outside: their quotes stand around a reference price, not around the mid of the book they quote in.

The reference is the exogenous value (makers who watch the market where the price is made) or the index that the oracle
published (a pool that knows nothing else, and is late by what the oracle is late). The centre of the quotes is

    reference x exp(premium) x (1 - lean x inventory / inventory_lots).

With ``follow = 0`` there is no premium: the price is a straight line in the pool's own inventory, as that of venues
that fill at oracle price x (1 + skew / skew scale) (Synthetix, SIP-279). With ``follow = 1`` the quotes stand where the
market stood last, moved by what the reference has moved since: makers who answer news at once, and order flow too. In
between, the premium is an exponential average of what the mid stood above the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk
from agents.kernels import reference_makers as kernels
from agents.kernels.rows import DRAW_ROW
from agents.registry import register
from sim.clock import IN_STEPS, PER_ROOT_STEP
from sim.kernels import realmath
from sim.kernels.state import CANCEL_ALL, CLOSED, M_MAKERS_WITHDRAWN_UNTIL, POST_ONLY, SUBTICKS

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class ReferenceMakerParams(PopulationParams):
    """Parameters of makers who quote around a reference."""

    count: int = Field(1, ge=1, le=10_000_000, description="number of makers")
    capital_lots: float = Field(2000.0, gt=0, description="deposit per maker, lots at full value at step 0")
    period: int = Field(1, ge=1, le=1_000_000, description="steps between requotes", json_schema_extra=IN_STEPS)
    reference: Literal["value", "index"] = Field(
        "value", description="the exogenous value, or the index as the oracle has published it"
    )
    follow: float = Field(
        0.0, ge=0, le=1, description="part of the market's distance from the quotes' centre taken over at each requote"
    )
    levels: int = Field(3, ge=1, le=100, description="levels quoted on each side")
    level_step: float = Field(0.001, ge=0, le=0.1, description="distance from level to level, fraction of price")
    first_lots: float = Field(2.0, gt=0, description="lots at the best level")
    more_lots: float = Field(0.0, ge=0, description="lots added from level to level")
    half_spread: float = Field(0.001, ge=0, le=0.2, description="half-spread in a market that does not move, fraction")
    spread_per_sigma: float = Field(
        0.0,
        ge=0,
        description="half-spread added per standard deviation of a step's move",
        json_schema_extra=PER_ROOT_STEP,
    )
    inventory_lots: int = Field(100, ge=1, description="largest position, lots")
    lean: float = Field(0.0, ge=0, le=0.5, description="fall of the quotes when long the largest position, fraction")


def decide(desk: Desk) -> None:
    """The requote of every waking maker, in words."""
    p, quote = desk.p, desk.quote
    index = int(desk.state.quotes[desk.contract]["index"]) / SUBTICKS
    reference = desk.ln(index if p.from_index else quote.value)
    half_spread = p.half_spread + p.spread_per_sigma * sqrt(quote.variance_fast)
    absent = desk.meta[M_MAKERS_WITHDRAWN_UNTIL] > desk.step
    for maker in desk.waking():
        before = maker.reference or reference
        maker.premium += p.follow * (desk.ln(quote.mid) - before - maker.premium)
        maker.reference = reference
        if maker.resting_orders:
            desk.send(maker, 0, kind=CANCEL_ALL)
        if absent or maker.status == CLOSED:
            continue
        inventory, limit = maker.lots(), int(p.inventory_lots)
        centre = realmath.exp(reference + maker.premium) * (1 - p.lean * min(max(inventory / limit, -1.0), 1.0))
        # the side sent first stands longer and trades more: draw it
        sides = (1, -1) if desk.uniform(DRAW_ROW, desk.step, maker.row) >= 0.5 else (-1, 1)
        for side in sides:
            nearest, room = centre * (1 - side * half_spread), limit - side * inventory
            for level in range(int(p.levels)):
                away = nearest * (1 - side * level * p.level_step)
                price = floor(away) if side > 0 else -floor(-away)
                lots = min(int(p.first_lots + level * p.more_lots + 0.5), room)
                if lots <= 0 or not 1 <= price <= quote.max_price:
                    break
                desk.send(maker, side * lots, tif=POST_ONLY, price=price)
                room -= lots


class ReferenceMaker(ViewAgent):
    """A maker's view."""

    premium = column("trader_floats", kernels.PREMIUM, "What the market may stand above the reference, in logarithms.")
    reference = column("trader_floats", kernels.REFERENCE, "Logarithm of the reference at the last requote.")


@register("reference_makers")
class ReferenceMakers(Population):
    """Quote around an outside price, leaning against their inventory."""

    Params = ReferenceMakerParams
    View = ReferenceMaker
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        special = {"from_index": float(self.params.reference == "index")}
        return special | {name: getattr(self.params, name) for name in kernels.PARAMS if name not in special}
