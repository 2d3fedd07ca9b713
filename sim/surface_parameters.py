"""What ``[chains.surface]`` may say, read without the compiler (:mod:`sim.surface` has the surface itself)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sim.errors import Problem

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Days = Annotated[Number, Field(gt=0, le=100_000)]
Sensitivity = Annotated[Number, Field(ge=-10, le=10)]
Share = Annotated[Number, Field(ge=0, le=1)]
Volatility = Annotated[Number, Field(gt=0, le=20)]


class SurfaceParameters(BaseModel):
    """``[chains.surface]``: how the implied volatilities of a chain differ by strike and expiry, and how they move."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    skew: Annotated[Number, Field(ge=-0.999, le=0.999)] = Field(
        0.0, description="rho of SSVI, the correlation of price and volatility; below 0: low strikes are dearer"
    )
    curvature: Annotated[Number, Field(ge=0, le=2)] = Field(
        0.0, description="eta of SSVI, 0 for no smile; curvature x (1 + |skew|) may be at most 2"
    )
    power: Annotated[Number, Field(gt=0, le=0.5)] = Field(
        0.5, description="gamma of SSVI: how fast smiles flatten with variance to expiry; 0.5 as the square root"
    )
    reversion_days: Annotated[Number, Field(ge=0, le=100_000)] = Field(
        0.0, description="half-life of variance on its way to the long-run level, trading days; 0: it stays"
    )
    realised_weight: Share = Field(0.0, description="weight of realised variance in the variance of now")
    premium: Annotated[Number, Field(gt=0, le=10)] = Field(1.0, description="implied over realised volatility")
    realised_days: Days = Field(1.0, description="half-life of realised variance, trading days")
    sample_seconds: Annotated[Number, Field(ge=0)] = Field(
        1800.0, description="between the prices whose squared returns are realised variance; 0: every step"
    )
    source: Literal["mark", "mid", "index"] = Field("mark", description="price of the underlying that is watched")
    leverage: Sensitivity = Field(
        0.0, description="fall of the log of short-term volatility per unit of recent log return"
    )
    return_days: Days = Field(0.25, description="half-life of the average price against which returns are recent")
    skew_return: Annotated[Number, Field(ge=-1, le=1)] = Field(
        0.0, description="most that a recent return adds to skew (with its sign)"
    )
    skew_realised: Annotated[Number, Field(ge=-1, le=1)] = Field(
        0.0, description="most that realised above long-run volatility adds to skew"
    )
    flow_level: Annotated[Number, Field(ge=0, le=2)] = Field(
        0.0, description="most that net buying of options adds to the log of volatility"
    )
    flow_skew: Share = Field(0.0, description="most that net buying of high (low) strikes adds to (takes off) skew")
    flow_lots: Annotated[Number, Field(ge=0, le=1e12)] = Field(
        0.0, description="net lots at the money with 30 days left whose buying is one unit of pressure; 0: no flow"
    )
    flow_days: Days = Field(0.5, description="half-life of the pressure of order flow, trading days")
    lowest: Volatility = Field(0.01, description="least volatility at the money")
    highest: Volatility = Field(5.0, description="largest volatility at the money")
    update_seconds: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="between two movements of the surface; 0: every step"
    )

    @property
    def moves(self) -> bool:
        """False where the surface is the chain's volatility for every strike, expiry and time."""
        return bool(self.curvature or self.realised_weight or self.leverage or self.flow_level)


def surface_problems(parameters: SurfaceParameters, key: str = "surface") -> list[Problem]:
    """What is wrong with parameters together, beyond the bounds of each.

    Args:
        parameters: of a surface.
        key: dotted key of their table, for the messages.
    """
    found = []
    most = 2.0 / (1.0 + abs(parameters.skew))
    if parameters.curvature > most:
        allowed = f"at most {most:.4g}, so that curvature x (1 + |skew|) <= 2: beyond that smiles hold arbitrage"
        found.append(Problem("", f"{key}.curvature", parameters.curvature, allowed))
    for name in ("skew", "skew_return", "skew_realised", "flow_skew"):
        if getattr(parameters, name) != 0.0 and parameters.curvature == 0.0:
            allowed = f"above 0 with {name}: without a smile the correlation shows nowhere"
            found.append(Problem("", f"{key}.curvature", parameters.curvature, allowed))
            break
    if parameters.lowest > parameters.highest:
        allowed = f"at most highest = {parameters.highest:g}"
        found.append(Problem("", f"{key}.lowest", parameters.lowest, allowed))
    if (parameters.flow_level or parameters.flow_skew) and parameters.flow_lots == 0.0:
        allowed = "above 0: flow_level and flow_skew are reached by so many lots of pressure"
        found.append(Problem("", f"{key}.flow_lots", parameters.flow_lots, allowed))
    return found
