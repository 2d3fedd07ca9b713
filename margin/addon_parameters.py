"""Parameters of the add-ons: ``[params.addons]`` of a preset, ``[margin.params.addons]`` of a scenario."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from margin.durations import Duration
from margin.parameters import NonNegative, Parameters, Positive, PositivePerContract, Rate

Target = Literal["initial", "maintenance", "both"]


class _Addon(Parameters):
    on: Target = Field("both", description="requirement that the add-on raises")


class LiquidityParameters(_Addon):
    """Cost of closing the position: ``Q spread / 2 + (2/3) Y sigma_D P Q sqrt(Q / V_D)``."""

    impact: NonNegative = Field(1.0, description="Y: impact of a day's volume, in daily volatilities")
    spread: NonNegative | None = Field(None, description="best ask less best bid, fraction of the price; default: seen")


class DriftParameters(_Addon):
    """Drift's size premium: ``max(m, 0.8 m + imf sqrt(size))`` in place of the rate m."""

    imf: PositivePerContract = Field(description="per square root of a unit of the underlying")


class SkewParameters(_Addon):
    """Synthetix' skew slope: ``|size| / skew_scale x slope`` on initial, ``maintenance_ratio`` of it on maintenance."""

    skew_scale: PositivePerContract = Field(description="units of the underlying")
    slope: PositivePerContract = Field(description="rate added for a position as large as the skew scale")
    maintenance_ratio: float = Field(1.0, gt=0.0, le=1.0, description="maintenance over initial")


class ConcentrationRatioParameters(_Addon):
    """SIMM's concentration ratio: the rate times ``max(1, sqrt(|sum of s| / T))``, net per underlying."""

    threshold: PositivePerContract = Field(description="T, net value in units of the account currency")


class CrowdingParameters(_Addon):
    """Impact of those who would be liquidated with the account: ``Y sigma_D sqrt(Q_liq(P_liq) / V_D)``."""

    impact: NonNegative = Field(1.0, description="Y: impact of a day's volume, in daily volatilities")
    band: float = Field(0.01, gt=0.0, le=0.5, description="half width around the liquidation price, fraction")
    liquidation_map: dict[str, list[tuple[Positive, float]]] | None = Field(
        None,
        description="by contract: liquidation price and signed size of others' positions, for portfolio files; the "
        "market draws its own",
    )


class FeatureParameters(Parameters):
    """How much one feature of an account counts: ``weight x clip((f - none) / (full - none), 0, 1)``."""

    weight: NonNegative = Field(description="rate when it counts in full")
    none: NonNegative = Field(0.0, description="value up to which it does not count")
    full: Positive = Field(1.0, description="value from which it counts in full")

    @model_validator(mode="after")
    def _ordered(self) -> FeatureParameters:
        if self.none >= self.full:
            raise ValueError("none below full")
        return self


class BehaviourParameters(_Addon):
    """Behaviour of the account: ``min(cap, sum of w_k clip(f_k))`` over its features."""

    cap: Rate = Field(0.02, description="largest rate")
    utilisation: FeatureParameters | None = Field(None, description="average of initial margin over equity, 0 to 1")
    liquidations: FeatureParameters | None = Field(None, description="liquidations, each forgotten by half_life")
    turnover: FeatureParameters | None = Field(None, description="average of value traded per day over equity")
    concentration: FeatureParameters | None = Field(None, description="sum of squared shares of contracts, 0 to 1")
    open_interest_share: FeatureParameters | None = Field(None, description="largest share of a contract, 0 to 1")


class AddonParameters(Parameters):
    """Add-ons on top of a composed regime; each is off unless its table is given."""

    liquidity: LiquidityParameters | None = None
    drift: DriftParameters | None = None
    skew: SkewParameters | None = None
    concentration_ratio: ConcentrationRatioParameters | None = None
    crowding: CrowdingParameters | None = None
    behaviour: BehaviourParameters | None = None
    daily_volatility: PositivePerContract | None = Field(
        None, description="sigma_D per square root of a day; default: the regime's own forecast"
    )
    daily_volume: PositivePerContract | None = Field(
        None, description="V_D in units of the underlying; in a market the least that is assumed, beside what is seen"
    )
    update_interval: Duration = Field("10min", description="time between updates of features, map, volume and spread")
    half_life: Duration = Field("1d", description="of the memory of features and of the spread")
    cap: Rate = Field(1.0, description="largest total rate of a position; what exceeds it is cut from the add-ons")
    maintenance_at: Literal["published", "entry"] = Field(
        "published", description="maintenance at the rate in force, or at the rate at which the position was accepted"
    )
