"""``[[events]]``: what a scenario scripts, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, field_validator

from experiments.sections import Count, Name, Number, Positive, Rate, Section, Steps
from sim.clock import IN_STEPS


class EventBase(Section):
    """When an event happens: exactly one of ``at_step``, ``at_day`` and ``at_date``."""

    name: Name
    kind: str
    at_step: Steps | None = Field(None, description="when so many steps are completed", json_schema_extra=IN_STEPS)
    at_day: Steps | None = Field(None, description="at the start of this trading day, counted from 0")
    at_date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] | None = Field(
        None, description="at the start of this trading day of a historical world, YYYY-MM-DD"
    )

    @field_validator("at_date", mode="before")
    @classmethod
    def _accept_toml_dates(cls, value: Any) -> Any:
        return value.isoformat() if type(value) is date else value

    def given_times(self) -> list[str]:
        """The keys that say when, as far as they are given."""
        return [key for key in ("at_step", "at_day", "at_date") if getattr(self, key) is not None]

    def contradictions(self) -> list[tuple[str, object, str]]:
        """Keys that do not go together: (key, value, what is allowed)."""
        return []


class Metaorder(EventBase):
    """A large order is worked by market orders at an even pace, by an account that is never called."""

    kind: Literal["metaorder"]
    contract: Name | None = Field(None, description="the first contract if left out")
    side: Literal["buy", "sell"]
    lots: Count
    steps: Count = Field(1, description="steps over which it is spread", json_schema_extra=IN_STEPS)


class ValueJumpEvent(EventBase):
    """The exogenous value jumps."""

    kind: Literal["value_jump"]
    contract: Name | None = Field(None, description="all contracts if left out")
    log_size: Annotated[Number, Field(ge=-5, le=5)] = Field(description="log of the factor; -0.1 is a fall of 9.5 %")


class VolatilityEvent(EventBase):
    """The volatility of the exogenous value is multiplied for a time."""

    kind: Literal["volatility"]
    factor: Annotated[Number, Field(ge=0, le=1000)]
    duration_steps: Count = Field(json_schema_extra=IN_STEPS)


class DepegEvent(EventBase):
    """The value of a spot contract moves to a part of what it would be, and stays there or comes back."""

    kind: Literal["depeg"]
    contract: Name = Field(description="spot contract between the currency that loses its peg and the account currency")
    level: Annotated[Number, Field(gt=0, le=10)] = Field(description="factor on the value while it lasts; 0.65")
    over_steps: Count = Field(1, description="steps that the way there takes", json_schema_extra=IN_STEPS)
    duration_steps: Count | None = Field(
        None, description="steps at the level; it stays if left out", json_schema_extra=IN_STEPS
    )
    recovery_steps: Count = Field(1, description="steps that the way back takes", json_schema_extra=IN_STEPS)


class OracleFaultEvent(EventBase):
    """Sources of the oracle, or the oracle as a whole, go wrong for a time."""

    kind: Literal["oracle_fault"]
    mode: Literal["frozen", "spike", "bias"] = Field(
        description="frozen: the last price stays; bias: prices times a factor; spike: a factor that fades to one"
    )
    log_size: Annotated[Number, Field(ge=-5, le=5)] = Field(0.0, description="spike, bias: log of the factor")
    duration_steps: Count = Field(json_schema_extra=IN_STEPS)
    contract: Name | None = Field(None, description="contract whose index it hits; all if left out")
    sources: list[Name] = Field(
        default=[], description="names of `[world.oracle]` sources; the oracle as a whole if left out"
    )

    def contradictions(self) -> list[tuple[str, object, str]]:
        """A size where it needs one."""
        if self.mode == "frozen" and self.log_size:
            return [("log_size", self.log_size, "nothing with mode = frozen")]
        if self.mode != "frozen" and not self.log_size:
            return [("log_size", self.log_size, f"a number other than 0 with mode = {self.mode}")]
        return []


class SwapCollateral(EventBase):
    """A population exchanges cash for another currency at its present rate, outside the market."""

    kind: Literal["swap_collateral"]
    population: Name
    currency: Name = Field(description="the currency that becomes its collateral")
    share: Annotated[Number, Field(gt=0, le=1)] = Field(1.0, description="part of each trader's cash")


class MakersWithdraw(EventBase):
    """Market makers cancel their quotes and stay out for a time."""

    kind: Literal["withdraw_makers"]
    duration_steps: Count = Field(json_schema_extra=IN_STEPS)


class SeedOpenInterest(EventBase):
    """Positions are given to a population at prices around the mark, against an account that is never called.

    The open interest is stated in lots, or as a multiple of the bid lots resting within 5 % below the mark at that
    step, which is what decides whether liquidations cascade.
    """

    kind: Literal["seed_open_interest"]
    population: Name
    contract: Name | None = Field(None, description="the first contract if left out")
    lots: Count | None = Field(None, description="open interest to seed")
    per_bid_depth: Positive | None = Field(None, description="open interest as a multiple of bid lots within 5 %")
    r0: Positive | None = Field(None, description="R0 that per_bid_depth gives here, for `marginlab cascade`")
    long_share: Rate = Field(0.8, description="share of the lots that is long")
    leverage_low: Positive = 10.0
    leverage_high: Positive = 30.0
    entry_spread: Rate = Field(0.02, description="standard deviation of log entry price around the mark")

    def contradictions(self) -> list[tuple[str, object, str]]:
        """One size, and a range of leverage that is one."""
        found: list[tuple[str, object, str]] = []
        if (self.lots is None) == (self.per_bid_depth is None):
            found.append(("lots", self.lots, "one of lots and per_bid_depth"))
        if self.leverage_high < self.leverage_low:
            found.append(("leverage_high", self.leverage_high, f"at least leverage_low, {self.leverage_low:g}"))
        return found


class SeedOptions(EventBase):
    """Options are given to a population at their marks, against an account that is never called.

    The size is that of the feedback: how many lots the population's delta hedge changes by while the underlying falls
    5 %, over the bid lots that rest within 5 % of the mid at that step; or a number of lots. Every strike and expiry
    that is asked for gets the same number. Before any price moves the options are worth what was paid for them.
    """

    kind: Literal["seed_options"]
    population: Name
    contract: Name | None = Field(
        None, description="perpetual or future in which the delta is hedged; the first contract if left out"
    )
    chain: Name | None = Field(None, description="may be left out where there is one chain")
    gamma_per_depth: Annotated[Number, Field(ge=-1000, le=1000)] | None = Field(
        None,
        description="lots the hedge changes by over a fall of 5 % per bid lot within 5 %; positive: it buys options",
    )
    lots: Annotated[StrictInt, Field(ge=-(10**9), le=10**9)] | None = Field(
        None, description="lots of every option in place of that; negative: the population sells them"
    )
    expiry_days: list[Positive] = Field(default=[], description="expiries to use, as the chain lists them; none: all")
    option_type: Literal["both", "call", "put"] = "both"
    strikes: Annotated[list[Positive], Field(min_length=2, max_length=2)] = Field(
        default=[0.9, 1.1], description="least and largest strike, over the price of the underlying at that step"
    )
    hedged: bool = Field(True, description="also give the position in `contract` that makes each account delta-neutral")
    leverage: Positive | None = Field(
        None,
        description="value of the options' underlying over the cash that they are given, besides premiums; "
        "if left out they keep their own cash, and what they pay for options is given to them",
    )

    def contradictions(self) -> list[tuple[str, object, str]]:
        """A size, and a range of strikes that is one."""
        found: list[tuple[str, object, str]] = []
        if (self.gamma_per_depth is None) == (self.lots is None):
            found.append(("gamma_per_depth", self.gamma_per_depth, "one of gamma_per_depth and lots"))
        elif not (self.gamma_per_depth or self.lots):
            key = "lots" if self.gamma_per_depth is None else "gamma_per_depth"
            found.append((key, getattr(self, key), "a number other than 0"))
        if self.strikes[1] < self.strikes[0]:
            found.append(("strikes", self.strikes, "the least strike first"))
        return found


class Moment(EventBase):
    """Nothing happens: a name for a step, to fork at or to measure from."""

    kind: Literal["moment"]


EventSpec = Annotated[
    Metaorder
    | ValueJumpEvent
    | VolatilityEvent
    | DepegEvent
    | OracleFaultEvent
    | SwapCollateral
    | MakersWithdraw
    | SeedOpenInterest
    | SeedOptions
    | Moment,
    Field(discriminator="kind"),
]
EVENT_KINDS: dict[str, type[EventBase]] = {
    "metaorder": Metaorder,
    "value_jump": ValueJumpEvent,
    "volatility": VolatilityEvent,
    "depeg": DepegEvent,
    "oracle_fault": OracleFaultEvent,
    "swap_collateral": SwapCollateral,
    "withdraw_makers": MakersWithdraw,
    "seed_open_interest": SeedOpenInterest,
    "seed_options": SeedOptions,
    "moment": Moment,
}


def step_of(event: EventBase, steps_per_day: int, dates: Sequence[str] | None) -> int | None:
    """The completed steps at which an event happens; None when its date is not a trading day of the run.

    An event at step s first shows in step s + 1, so that the state after s steps is the one before the event.

    Args:
        event: the event, with one of its times given.
        steps_per_day: steps in a trading day.
        dates: the date of each trading day, for historical worlds.
    """
    if event.at_step is not None:
        return event.at_step
    if event.at_day is not None:
        return event.at_day * steps_per_day
    if dates is None or event.at_date is None or event.at_date not in dates:
        return None
    return list(dates).index(event.at_date) * steps_per_day
