"""The sections of a scenario file as validated models.

Each model is one table of the TOML file; a field's description is what editors show (``marginlab schema``) and what an
error line quotes. What depends on registries (parameters of populations and margin regimes, the world) is validated by
:mod:`experiments.scenario` with the models of those rooms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, StrictInt, field_validator
from pydantic.json_schema import WithJsonSchema

from sim.clock import IN_STEPS, PER_STEP
from sim.policy_parameters import PolicyParameters
from sim.surface_parameters import SurfaceParameters

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=48)]


def _number(value: Any) -> float:
    """A finite number; true, texts and NaN are not numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a number")
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("a finite number")
    return float(value)


Number = Annotated[float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Count = Annotated[StrictInt, Field(ge=1)]
Steps = Annotated[StrictInt, Field(ge=0)]
Rate = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]


class Section(BaseModel):
    """A table of the file: unknown keys are errors, values are not converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MarketSection(Section):
    """``[market]``: time and matching."""

    name: str = Field("", description="a line that says what the scenario is")
    dt_seconds: Positive = Field(60.0, description="simulated seconds per step")
    unit_seconds: Positive | None = Field(
        None,
        description="unit in which this file counts steps and rates per step, a whole number of dt_seconds; left out: "
        "dt_seconds itself",
    )
    steps: Count | None = Field(
        None, description="steps of a run; may be left out with a historical world", json_schema_extra=IN_STEPS
    )
    steps_per_day: Count = Field(1440, description="steps in a trading day", json_schema_extra=IN_STEPS)
    burn_in: Steps = Field(0, description="steps before measuring begins", json_schema_extra=IN_STEPS)
    self_trade_prevention: Literal["cancel_resting", "cancel_incoming", "cancel_both", "off"] = Field(
        "cancel_resting", description="what happens when an account would trade with itself"
    )
    fast_volatility_steps: Positive = Field(
        20.0, description="mean age of the fast average that market makers watch", json_schema_extra=IN_STEPS
    )
    slow_volatility_steps: Positive = Field(
        1000.0, description="mean age of the slow average", json_schema_extra=IN_STEPS
    )
    interest_rate: Number = Field(0.0, description="continuously compounded per year, for forwards and options")
    minor_units: dict[Name, Count] = Field(
        default_factory=dict, description="minor units per unit of a currency; 100 where nothing is said"
    )
    ordering: Literal["random", "priority_fee"] = Field(
        "random", description="arrival of a step's messages: keyed draws, or higher priority fees first"
    )


class ContractSection(Section):
    """``[[contracts]]``: what is traded."""

    name: Name
    kind: Literal[
        "linear_perpetual", "linear_future", "inverse_perpetual", "inverse_future", "spot", "linear_option",
        "inverse_option",
    ] = "linear_perpetual"  # fmt: skip
    tick_size: Positive = Field(1.0, description="price units per tick")
    tick_value: StrictInt = Field(
        100,
        ge=1,
        description="minor units of the currency per tick and lot; inverse: of one lot at a price of one tick",
    )
    initial_price: Count = Field(5000, description="ticks at step 0")
    currency: Name = Field("USD", description="settlement currency; of inverse contracts the coin, of spot the quote")
    underlying: Name | None = Field(
        None, description="what it is about, shared by contracts that follow one value; default: the coin, or itself"
    )
    lot_size: Positive = Field(1.0, description="units of the underlying per lot; inverse: quote units")
    base_currency: Name | None = Field(None, description="spot: the currency that is bought")
    base_lot: Count | None = Field(None, description="spot: minor units of base_currency per lot")
    strike: Positive | None = Field(None, description="options: price units of the underlying")
    option_type: Literal["call", "put"] | None = Field(None, description="options")
    expiry_days: Positive | None = Field(None, description="options and futures: trading days from step 0 to expiry")
    volatility: Positive | None = Field(None, description="options: implied, per square root of a year, for the mark")
    chain: Name | None = Field(None, description="options: the chain ([[chains]]) that lists it")
    listing_days: Annotated[Number, Field(ge=0)] = Field(0.0, description="trading days from step 0 to its listing")
    settlement_seconds: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="options and futures: window up to expiry over which the final price is averaged; 0: one step"
    )
    priced_on: Literal["index", "mark"] = Field(
        "index", description="price of the underlying at which options are valued and options and futures settle"
    )
    band_ticks: Steps = Field(0, description="least half-width of the price band, ticks")
    max_lots: Count = Field(1_000_000, description="largest order and position, lots")
    max_price: Annotated[StrictInt, Field(ge=2, le=2**31 - 1)] = Field(1 << 16, description="largest price, ticks")
    price_band: Annotated[Number, Field(gt=0, lt=1)] = Field(0.10, description="orders beyond mark x (1 +- band) go")
    fee_taker: Rate = 0.0
    fee_maker: Rate = 0.0
    fee_liquidation: Rate = Field(0.005, description="of the value of forced fills, to the insurance fund")
    funding_interval_seconds: Annotated[Number, Field(ge=0)] = Field(0.0, description="0: no funding")
    funding_interest: Number = Field(0.0001, description="interest part per eight hours")
    funding_clamp: Rate = Field(0.0005, description="bound on interest less premium, per eight hours")
    impact_lots: Count = Field(50, description="size whose average fill price enters the premium index")
    settle_interval: Literal["day"] | Steps = Field(
        0, description="steps between settlements of a future, or day", json_schema_extra=IN_STEPS
    )

    @field_validator("tick_value", mode="before")
    @classmethod
    def _whole_tick_value(cls, value: Any) -> Any:
        """Money is counted in whole minor units, so a tick of one lot must be worth a whole number of them."""
        if isinstance(value, float) and value == value and abs(value) < 2**53:
            if value.is_integer():
                return int(value)
            below = max(1, floor(value))
            nearest = below if value - below <= below + 1 - value else below + 1
            raise ValueError(f"a whole number of minor units per tick and lot; the nearest is {nearest}")
        return value


class ChainSection(Section):
    """``[[chains]]``: calls and puts of one underlying, listed for several strikes and expiries."""

    name: Name
    kind: Literal["linear_option", "inverse_option"] = "linear_option"
    underlying: Name = Field(description="contract that prices the underlying")
    expiry_days: Annotated[list[Positive], Field(min_length=1)] = Field(description="trading days from step 0")
    listing_days: list[Annotated[Number, Field(ge=0)]] = Field(
        default_factory=list, description="when each expiry is listed, trading days from step 0; none: at once"
    )
    strikes: Annotated[StrictInt, Field(ge=1, le=201)] = Field(
        21, description="strikes per expiry, around the underlying's initial price"
    )
    spacing: Annotated[Number, Field(gt=0, lt=1)] = Field(0.02, description="between strikes, share of that price")
    strike_list: list[Positive] = Field(default_factory=list, description="strikes, price units, in place of those")
    volatility: Positive = Field(0.6, description="per square root of a year, at step 0")
    tick_size: Positive = Field(1.0, description="of the premium, price units (inverse: coins)")
    tick_value: Count = Field(100, description="minor units per tick and lot")
    lot_size: Positive = Field(1.0, description="units of the underlying per lot")
    currency: Name | None = Field(None, description="settlement currency; default: the underlying contract's")
    settlement_seconds: Annotated[Number, Field(ge=0)] = Field(
        1800.0, description="window up to expiry over which the final price is averaged; 0: one step"
    )
    priced_on: Literal["index", "mark"] = Field(
        "index", description="price of the underlying at which options are valued and settle"
    )
    price_band: Annotated[Number, Field(gt=0, lt=1)] = Field(0.5, description="orders beyond mark x (1 +- band) go")
    band_ticks: Steps = Field(50, description="least half-width of the price band, ticks")
    max_lots: Count = Field(1_000_000, description="largest order and position, lots")
    max_price: Annotated[StrictInt, Field(ge=2, le=2**31 - 1)] | None = Field(
        None,
        description="largest premium, ticks; default: about four times the price at step 0, or four coins",
    )
    fee_taker: Rate = 0.0
    fee_maker: Rate = 0.0
    fee_liquidation: Rate = 0.005
    surface: SurfaceParameters = Field(
        default_factory=SurfaceParameters, description="how its implied volatilities move"
    )


class MarginSection(Section):
    """``[margin]``: the regime of the run, and parameters of the others in comparisons."""

    regime: str = Field("static", description="margin regime of the run, and baseline of comparisons")
    notice_steps: Count = Field(
        1, description="steps until published parameters bind maintenance", json_schema_extra=IN_STEPS
    )
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the regime")
    regimes: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        description="parameters of other regimes by label; a key `regime` lets a label name a variant of a regime",
    )


class WaterfallSection(Section):
    """``[clearing.waterfall]``: who pays, in which order, what a failed account leaves unpaid."""

    layers: list[Literal["fund", "vault", "adl", "socialise"]] = Field(
        ["fund", "socialise"], max_length=4, description="in order; the last one is a last resort, adl or socialise"
    )
    ranking: Literal["bitmex", "binance", "hyperliquid", "pro_rata", "risk_pro_rata", "water_filling"] = Field(
        "bitmex", description="order in which auto-deleveraging picks counterparties"
    )
    adl_price: Literal["bankruptcy", "previous_mark"] = Field("bankruptcy", description="price of auto-deleveraging")
    adl_trigger: Literal["exhausted", "negative_equity", "fund_drawdown"] = Field(
        "exhausted", description="when auto-deleveraging begins"
    )
    fund_drawdown: Annotated[Number, Field(gt=0, le=1)] = Field(1.0, description="part of the fund's peak lost")
    fund_drawdown_seconds: Positive = Field(28_800.0, description="window of the peak")
    vault: str = Field("", description="name of the population that is the backstop vault")


class BreakersSection(Section):
    """``[clearing.breakers]``: halts, bands, throttles, margin multipliers; each is off at zero."""

    halt_move: Annotated[Number, Field(ge=0, lt=1)] = Field(0.0, description="move of the mark that halts a contract")
    halt_window_seconds: Positive = Field(300.0, description="window of the move")
    halt_seconds: Positive = Field(300.0, description="length of a halt")
    band: Annotated[Number, Field(ge=0, lt=1)] = Field(0.0, description="band around the mark at the window's start")
    throttle: Annotated[Number, Field(ge=0)] = Field(
        0.0,
        description="forced lots per step, as a share of the lots resting within 5 % on the side they hit",
        json_schema_extra=PER_STEP,
    )
    stress_from: Annotated[Number, Field(ge=0)] = Field(
        2.0, description="stress index (fast over slow volatility) from which margin is multiplied"
    )
    stress_slope: Annotated[Number, Field(ge=0)] = Field(0.0, description="added per unit of the index")
    stress_most: Annotated[Number, Field(ge=1)] = Field(3.0, description="largest multiplier")


class MarkingSection(Section):
    """``[clearing.marking]``: parameters of the mark rules, and the price of collateral in other currencies."""

    basis_window_seconds: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="index_median: window of the average basis; 0: exponential, mark_ema_half_life_seconds"
    )
    premium_seconds: Positive = Field(150.0, description="hyperliquid: time constant of mid less oracle")
    trade_seconds: Positive = Field(30.0, description="hyperliquid: time constant of median(bid, ask, last)")
    index_seconds: Positive = Field(30.0, description="deribit: time constant of mid less index")
    index_limit: Annotated[Number, Field(gt=0, le=1)] = Field(
        0.1, description="deribit: furthest from the index grown by index_premium, fraction of the index"
    )
    index_premium: Annotated[Number, Field(gt=-1, le=1)] = Field(
        0.0, description="deribit: premium around which index_limit is measured"
    )
    collateral: Literal["mark", "index"] = Field(
        "mark", description="which price of a spot contract converts other currencies"
    )


class ClearingSection(Section):
    """``[clearing]``: marks, calls, liquidation and the default waterfall."""

    mark: Literal["last", "mid", "ema", "twap", "index", "index_median", "hyperliquid", "deribit"] = Field(
        "mid", description="rule of the mark price"
    )
    mark_ema_half_life_seconds: Positive = Field(600.0, description="of the EMA of mid and basis")
    mark_window_seconds: Positive = Field(600.0, description="of the time-weighted average")
    liquidation: str = Field("full", description="liquidation policy; `marginlab policies` lists them")
    policy: PolicyParameters = Field(PolicyParameters(), description="changed parameters of the policy")
    max_rounds: Count = Field(50, description="liquidation rounds within a step")
    grace_steps: Steps = Field(0, description="steps between a margin call and liquidation", json_schema_extra=IN_STEPS)
    forced_limit: Literal["none", "bankruptcy", "band", "fillable"] = Field(description="limit price of forced orders")
    surplus_to: Literal["fund", "trader"] = Field(description="who keeps what is left after a full liquidation")
    fund_initial: Annotated[StrictInt, Field(ge=0)] = Field(0, description="insurance fund, minor units")
    fund_unwind_lots: Steps = Field(5, description="most lots per step and contract that the fund sells")
    haircuts: dict[Name, Rate] = Field(
        default_factory=dict, description="part of the value of another currency that does not count as collateral"
    )
    waterfall: WaterfallSection = Field(WaterfallSection(), description="who pays what is left unpaid")
    breakers: BreakersSection = Field(BreakersSection(), description="circuit breakers")
    marking: MarkingSection = Field(MarkingSection(), description="parameters of the mark rules")


class RecordSection(Section):
    """``[record]``: what a run keeps."""

    every: Count = Field(1, description="steps between rows of the step table", json_schema_extra=IN_STEPS)
    trades: StrictBool = Field(False, description="keep every fill in trades.parquet")
    refusals: StrictBool = Field(False, description="keep refused and expired orders among the events")
    depth_every: Count = Field(
        10, description="steps between readings of the depth within 5 %", json_schema_extra=IN_STEPS
    )
    totals_every: Count = Field(
        60, description="steps between sums of requirements and equity over accounts", json_schema_extra=IN_STEPS
    )
    causes: StrictBool = Field(False, description="keep what moved marks and brought accounts into liquidation")
    tables: Literal["first", "all", "none"] = Field(
        "first", description="comparisons keep the tables of the first seed, of all seeds or of none"
    )


class MeasureSection(Section):
    """``[measure]``: which event is the event, and how long outcomes are measured after it."""

    event: str | None = Field(None, description="name of the event at which R0 and open interest are taken")
    window_steps: Count | None = Field(
        None, description="steps measured after the event in forked readings", json_schema_extra=IN_STEPS
    )


@dataclass(frozen=True)
class PopulationSpec:
    """A population as the scenario states it.

    Attributes:
        kind: registered kind.
        name: unique in the market.
        params: its parameters.
    """

    kind: str
    name: str
    params: Mapping[str, Any]
