"""Hedgers: they hold an exposure outside the exchange and cover it here when the gap has grown wide.

The exposure is a stationary AR(1) in units of ``exposure_lots`` around ``mean_lots``; it is a function of the seed
alone. A positive mean is a hedger who owns the underlying and sells the contract against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk
from agents.kernels import hedgers as kernels
from agents.kernels.rows import DRAW_ROW, DRAW_SETUP, normals_of, uniforms_of_rows
from agents.registry import register
from sim.clock import IN_STEPS
from sim.kernels import realmath
from sim.kernels.state import IOC, MARKET

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class HedgerParams(PopulationParams):
    """Parameters of hedgers."""

    count: int = Field(20, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(2000.0, gt=0, description="deposit per trader, lots at full value at step 0")
    period: int = Field(
        60, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    exposure_lots: float = Field(10.0, gt=0, description="standard deviation of the outside exposure, lots")
    mean_lots: float = Field(0.0, description="mean outside exposure, lots; positive: owners who sell the contract")
    persistence: float = Field(0.95, ge=0, lt=1, description="autoregression of the exposure from wake to wake")
    tolerance: float = Field(0.3, ge=0, description="gap that is left unhedged, as a fraction of exposure_lots")
    child_lots: int = Field(1000, ge=1, description="largest order, lots")


def decide(desk: Desk) -> None:
    """The decision of every waking trader, in words."""
    p = desk.p
    for trader in desk.waking():
        shock = realmath.normal_quantile(desk.uniform(DRAW_ROW, desk.step, trader.row))
        trader.exposure = p.persistence * trader.exposure + p.innovation * shock
        outside = p.mean_lots + p.exposure_lots * trader.exposure
        gap = floor(0.5 - outside) - trader.lots()
        if abs(gap) > p.tolerance * p.exposure_lots:
            desk.send(trader, min(max(gap, -int(p.child_lots)), int(p.child_lots)), tif=IOC, flags=MARKET)


class Hedger(ViewAgent):
    """A hedger's view."""

    exposure = column("trader_floats", kernels.EXPOSURE, "Outside exposure in standard deviations, without its mean.")


@register("hedgers")
class Hedgers(Population):
    """Hedge an exposure held outside the exchange."""

    Params = HedgerParams
    View = Hedger
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        p = self.params
        return {
            "exposure_lots": p.exposure_lots,
            "mean_lots": p.mean_lots,
            "persistence": p.persistence,
            "innovation": sqrt(1.0 - p.persistence * p.persistence),
            "tolerance": p.tolerance,
            "child_lots": p.child_lots,
        }

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw the first exposures from the stationary distribution."""
        normals = normals_of(uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count))
        self.column(setup.state, "exposure")[:] = normals[:, 0]
