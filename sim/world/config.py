"""What a ``[world]`` table may say: one model per kind of value process."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, field_validator, model_validator

Number = Annotated[StrictFloat | StrictInt, Field(allow_inf_nan=False)]
NotNegative = Annotated[Number, Field(ge=0)]
Volatility = Annotated[Number, Field(ge=0, le=10)]
Correlation = Annotated[Number, Field(ge=-1, le=1)]
Drift = Annotated[Number, Field(ge=-10, le=10)]

_PER_CONTRACT = "; one number for all contracts or a list with one each"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Table):
    """A venue whose price the oracle observes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=48)] = Field(
        description="unique among sources; keys the venue's noise, and faults refer to it"
    )
    kind: Literal["external", "spot"] = Field(
        "external", description="another venue, whose price is the value with noise; or a spot contract of this market"
    )
    contract: str | None = Field(None, description="spot: name of the contract, whose mid is observed")
    weight: Annotated[Number, Field(gt=0)] = Field(1.0, description="in a weighted aggregation")
    noise: Annotated[Number, Field(ge=0, le=1)] = Field(
        0.0, description="external: stationary standard deviation of the log price around the log value"
    )
    noise_seconds: Annotated[Number, Field(gt=0)] = Field(600.0, description="time constant of that noise")
    latency_seconds: NotNegative = Field(0.0, description="time from the venue to the oracle")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Source:
        if self.kind == "spot" and self.contract is None:
            raise ValueError("a source of kind spot with the name of its contract")
        if self.kind == "external" and self.contract is not None:
            raise ValueError("contract only with kind = spot")
        if self.kind == "spot" and self.noise:
            raise ValueError("noise only with kind = external: the own contract has a price of its own")
        return self


_Sources = Annotated[list[Source], Field(max_length=16)]


class Oracle(_Table):
    """How the published index follows the value."""

    sources: _Sources = Field(
        default=[], description="`[[world.oracle.sources]]`: venues behind the index; none: the value itself"
    )
    aggregation: Literal["median", "weighted_median", "mean"] = Field(
        "median", description="what is made of the sources; mean is weighted"
    )
    perpetuals: _Sources = Field(
        default=[],
        description='`[[world.oracle.perpetuals]]`: mids of perpetuals on other venues, for `mark = "hyperliquid"`',
    )
    latency_seconds: NotNegative = Field(0.0, description="time from observation to publication")
    update_seconds: NotNegative = Field(0.0, description="time between reports, 0 for every step")
    deviation: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.0, description="report at once when the value is this fraction away from the last report, 0 for never"
    )
    staleness_seconds: NotNegative = Field(0.0, description="age beyond which a report is stale, 0 for never")
    stale_policy: Literal["hold", "pause_liquidations", "mid"] = Field(
        "hold",
        description="while the report is stale: go on with it; call and liquidate nobody who holds the contract; or "
        "mark by the book",
    )

    @model_validator(mode="after")
    def _sources_differ(self) -> Oracle:
        names = [source.name for source in (*self.sources, *self.perpetuals)]
        if len(set(names)) < len(names):
            raise ValueError("sources and perpetuals with different names")
        if any(source.kind == "spot" for source in self.perpetuals):
            raise ValueError("perpetuals of kind external")
        if self.staleness_seconds and self.staleness_seconds <= self.latency_seconds:
            raise ValueError("a staleness limit above latency_seconds: no report is younger than that")
        return self


class Activity(_Table):
    """Exogenous activity of mean one: the exponential of a sum of Ornstein-Uhlenbeck processes, times a daily profile.

    One activity that moves volume and volatility alike is the mixture of distributions of Clark (1973, *Econometrica*
    41:135-155) and Tauchen and Pitts (1983, *Econometrica* 51:485-505).
    """

    deviation: Annotated[Number, Field(ge=0, le=3)] = Field(
        0.3, description="stationary standard deviation of each component's logarithm"
    )
    time_constants_seconds: list[Annotated[Number, Field(gt=0)]] = Field(
        default=[600.0, 6_000.0, 60_000.0], min_length=1, max_length=16, description="one component for each"
    )
    profile: list[Annotated[Number, Field(gt=0, le=1000)]] = Field(
        default=[],
        max_length=1440,
        description="relative activity at evenly spaced moments from the start to the end of a trading day, joined by "
        "straight lines and scaled to mean one; left out: the same at all times",
    )
    volatility_exponent: Annotated[Number, Field(ge=0, le=2)] = Field(
        0.0,
        description="the random part of the value's increments is multiplied by activity to this power: 0.5 lets its "
        "variance follow activity, 0 leaves it alone",
    )


class _World(_Table):
    oracle: Oracle = Field(Oracle(), description="how the published index follows the value")
    activity: Activity = Field(Activity(), description="exogenous activity of noise flow")


class ConstantWorld(_World):
    """The value never moves, except by scripted jumps."""

    kind: Literal["constant"] = "constant"


class _RandomWorld(_World):
    volatility: Volatility | list[Volatility] = Field(
        description="standard deviation of the log value per square root of a trading day" + _PER_CONTRACT
    )
    drift: Drift | list[Drift] = Field(0.0, description="expected growth rate per trading day" + _PER_CONTRACT)
    correlation: Correlation | list[list[Correlation]] = Field(
        0.0, description="correlation of the contracts: one number for all pairs, or a matrix"
    )


class GbmWorld(_RandomWorld):
    """Geometric Brownian motion."""

    kind: Literal["gbm"] = "gbm"


class JumpDiffusionWorld(_RandomWorld):
    """Geometric Brownian motion with compound Poisson jumps of normal log size (Merton 1976)."""

    kind: Literal["jump_diffusion"] = "jump_diffusion"
    jumps_per_day: Annotated[Number, Field(ge=0, le=1000)] | list[Annotated[Number, Field(ge=0, le=1000)]] = Field(
        description="expected jumps per trading day" + _PER_CONTRACT
    )
    jump_mean: Drift | list[Drift] = Field(0.0, description="mean log size of a jump" + _PER_CONTRACT)
    jump_volatility: Volatility | list[Volatility] = Field(
        description="standard deviation of the log size of a jump" + _PER_CONTRACT
    )
    common_jumps: StrictBool = Field(True, description="all contracts jump at the same times")

    @model_validator(mode="after")
    def _common_jumps_have_one_intensity(self) -> JumpDiffusionWorld:
        if self.common_jumps and isinstance(self.jumps_per_day, list) and len(set(self.jumps_per_day)) > 1:
            raise ValueError("one value of jumps_per_day for all contracts, or common_jumps = false")
        return self


class GarchWorld(_RandomWorld):
    """GARCH(1,1): variance that answers to past returns; ``volatility`` is its long-run level."""

    kind: Literal["garch"] = "garch"
    alpha: Annotated[Number, Field(ge=0, lt=1)] = Field(description="weight of the last squared return")
    beta: Annotated[Number, Field(ge=0, lt=1)] = Field(description="weight of the last variance")
    frequency: Literal["day", "step"] = Field("day", description="period of the variance equation")

    @model_validator(mode="after")
    def _is_stationary(self) -> GarchWorld:
        if self.alpha + self.beta >= 1:
            raise ValueError("alpha + beta below 1, so that a long-run variance exists")
        return self


class HistoricalWorld(_World):
    """Closes of real series, with a Brownian bridge between them.

    The first close in [start, end] is step 0; each later close ends a trading day.
    """

    kind: Literal["historical"] = "historical"
    dataset: str | list[str] | None = Field(
        None, description='"arch:sp500" or "arch:nasdaq" (daily, 1999-2018); a list with one for each contract'
    )
    path: str | list[str] | None = Field(
        None, description="CSV or Parquet file with a date column; one for all contracts, or a list with one each"
    )
    columns: str | list[str] = Field(
        "close", description="price column; a list with one for each contract if they share a file"
    )
    date_format: str | None = Field(
        None, description='format of the dates in the file, such as "%m/%d/%Y"; left out: YYYY-MM-DD'
    )
    start: str | None = Field(None, description="first date, YYYY-MM-DD")
    end: str | None = Field(None, description="last date, YYYY-MM-DD")
    scaling: Literal["initial_price", "tick_size"] = Field(
        "initial_price", description="scale each series to start at the contract's initial price, or divide by its tick"
    )
    max_gap_days: Annotated[StrictInt, Field(ge=1)] = Field(7, description="longest gap between dates, calendar days")
    intraday_volatility: Volatility | list[Volatility] | None = Field(
        None,
        description="of the bridge, per square root of a trading day" + _PER_CONTRACT + "; left out: each day's own, "
        "from its range and the closes around it",
    )
    intraday_scale: Annotated[Number, Field(ge=0, le=100)] = Field(
        1.0, description="factor on the bridge's standard deviation, 0 for straight lines"
    )
    correlation: Correlation | list[list[Correlation]] | None = Field(
        None, description="correlation of the bridges; left out: that of the daily returns"
    )

    @field_validator("start", "end")
    @classmethod
    def _is_a_date(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                plain = date.fromisoformat(value).isoformat()
            except ValueError:
                plain = ""
            if plain != value:
                raise ValueError("a date as YYYY-MM-DD")
        return value

    @field_validator("start", "end", mode="before")
    @classmethod
    def _accept_toml_dates(cls, value: Any) -> Any:
        return value.isoformat() if type(value) is date else value

    @model_validator(mode="after")
    def _has_one_source(self) -> HistoricalWorld:
        if (self.dataset is None) == (self.path is None):
            raise ValueError("one of dataset and path")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("a start before the end")
        return self


WORLD_KINDS: dict[str, type[_World]] = {
    "constant": ConstantWorld,
    "gbm": GbmWorld,
    "jump_diffusion": JumpDiffusionWorld,
    "garch": GarchWorld,
    "historical": HistoricalWorld,
}

WorldConfig = Annotated[
    ConstantWorld | GbmWorld | JumpDiffusionWorld | GarchWorld | HistoricalWorld, Field(discriminator="kind")
]
