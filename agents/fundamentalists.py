"""Fundamentalists: weak, slow, and of different minds about value.

Target = lots x clip((ln V + opinion - ln p) / scale, +-1), reached in small child orders. Strong linear fundamentalists
make price impact linear, so the defaults are weak.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk
from agents.kernels import fundamentalists as kernels
from agents.kernels.rows import DRAW_SETUP, normals_of, uniforms_of_rows
from agents.registry import register
from sim.clock import IN_STEPS
from sim.kernels.state import IOC, MARKET

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class FundamentalistParams(PopulationParams):
    """Parameters of fundamentalists."""

    count: int = Field(50, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(2000.0, gt=0, description="deposit per trader, lots at full value at step 0")
    period: int = Field(
        30, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    target_lots: float = Field(20.0, gt=0, description="largest position, lots")
    scale: float = Field(0.05, gt=0, description="log mispricing at which the largest position is held")
    opinion_sigma: float = Field(0.04, ge=0, le=2, description="standard deviation of opinions of log value")
    child_lots: int = Field(5, ge=1, description="largest child order, lots")


def decide(desk: Desk) -> None:
    """The decision of every waking trader, in words."""
    p = desk.p
    for trader in desk.waking():
        mispricing = desk.ln(desk.quote.value) - desk.ln(desk.quote.mid) + trader.opinion
        target = floor(p.target_lots * min(max(mispricing / p.scale, -1), 1) + 0.5)
        gap = target - trader.lots()
        lots = min(max(gap, -int(p.child_lots)), int(p.child_lots))
        if lots:
            desk.send(trader, lots, tif=IOC, flags=MARKET)


class Fundamentalist(ViewAgent):
    """A fundamentalist's view."""

    opinion = column("trader_floats", kernels.OPINION, "Opinion of log value less its true value.")


@register("fundamentalists")
class Fundamentalists(Population):
    """Trade towards a private opinion of value."""

    Params = FundamentalistParams
    View = Fundamentalist
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        p = self.params
        return {"target_lots": p.target_lots, "scale": p.scale, "child_lots": p.child_lots}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw opinions."""
        normals = normals_of(uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count))
        self.column(setup.state, "opinion")[:] = self.params.opinion_sigma * normals[:, 0]
