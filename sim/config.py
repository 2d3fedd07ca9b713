"""Plain configuration of a market: what a scenario file becomes once it is validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.kernels import state as s

LAYOUTS = {"cross": s.CROSS, "isolated": s.ISOLATED}
MARK_RULES = {"last": s.MARK_LAST, "mid": s.MARK_MID, "index_median": s.MARK_INDEX_MEDIAN, "ema": s.MARK_EMA}
FORCED_LIMITS = {"none": s.LIMIT_NONE, "bankruptcy": s.LIMIT_BANKRUPTCY, "band": s.LIMIT_BAND}
SELF_TRADE = {
    "cancel_resting": s.STP_CANCEL_RESTING,
    "cancel_incoming": s.STP_CANCEL_INCOMING,
    "cancel_both": s.STP_CANCEL_BOTH,
    "off": s.STP_OFF,
}


@dataclass(frozen=True, slots=True)
class MarketConfig:
    """Time and matching.

    Attributes:
        steps: length of the exogenous world; a market can be advanced this far.
        dt_seconds: simulated seconds per step.
        steps_per_day: steps in a trading day.
        self_trade_prevention: ``"cancel_resting"``, ``"cancel_incoming"``, ``"cancel_both"`` or ``"off"``.
        fast_volatility_steps: mean age in steps of the fast average of squared returns that market makers watch.
        slow_volatility_steps: mean age of the slow one.
        interest_rate: continuously compounded, per year; forwards and option premiums grow at it.
        minor_units: minor units per unit of a currency by name; 100 where nothing is said.
    """

    steps: int
    dt_seconds: float = 60.0
    steps_per_day: int = 1440
    self_trade_prevention: str = "cancel_resting"
    fast_volatility_steps: float = 20.0
    slow_volatility_steps: float = 1000.0
    interest_rate: float = 0.0
    minor_units: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClearingConfig:
    """Marks, calls, liquidation and the default waterfall.

    Attributes:
        mark: rule of the mark: ``"last"``, ``"mid"``, ``"index_median"`` or ``"ema"``.
        mark_ema_half_life_seconds: half-life of the averages of mid and basis.
        notice_steps: steps until published risk parameters bind maintenance.
        max_rounds: liquidation rounds within a step.
        grace_steps: steps between a margin call and liquidation, 0 for none.
        liquidation: ``"full"`` or ``"partial"``.
        target_ratio: partial liquidation restores equity to this multiple of maintenance.
        forced_limit: limit of forced orders: ``"none"``, ``"bankruptcy"`` or ``"band"``.
        surplus_to: who keeps what is left after a full liquidation: ``"fund"`` or ``"trader"``.
        fund_initial: insurance fund at step 0, minor units.
        fund_unwind_lots: most lots per step and contract that the fund sells of what it took over.
        haircuts: part of the value of each other currency that does not count as collateral, by name; default none.
    """

    mark: str = "mid"
    mark_ema_half_life_seconds: float = 600.0
    notice_steps: int = 1
    max_rounds: int = 50
    grace_steps: int = 0
    liquidation: str = "full"
    target_ratio: float = 1.5
    forced_limit: str = "none"
    surplus_to: str = "trader"
    fund_initial: int = 0
    fund_unwind_lots: int = 5
    haircuts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """What a run keeps.

    Attributes:
        every: steps between rows of the step table.
        trades: keep every fill.
        refusals: keep refused, expired and self-trading orders among the events.
        depth_every: steps between readings of the depth within 5 %.
        totals_every: steps between sums of requirement, equity and notional over accounts.
    """

    every: int = 1
    trades: bool = False
    refusals: bool = False
    depth_every: int = 10
    totals_every: int = 60


@dataclass(frozen=True, slots=True)
class ScriptedEvent:
    """Something that a scenario scripts. Events that touch the value path live in the world, not here.

    Attributes:
        name: of the event; forks and measures refer to it.
        kind: ``"metaorder"``, ``"withdraw_makers"``, ``"seed_open_interest"`` or ``"moment"``; other kinds only mark
            their step.
        step: step before which it happens: its first effects are in step ``step + 1``.
        contract: contract index.
        side: 1 buy, -1 sell (metaorder).
        lots: size in lots; 0 when stated otherwise.
        steps: duration in steps.
        population: name of the population (seed_open_interest).
        per_bid_depth: open interest as a multiple of bid lots within 5 % of the mid (seed_open_interest).
        long_share: share of the seeded lots that is long.
        leverage_low: smallest leverage of seeded positions.
        leverage_high: largest.
        entry_spread: standard deviation of log entry prices around the mark.
    """

    name: str
    kind: str
    step: int
    contract: int = 0
    side: int = -1
    lots: int = 0
    steps: int = 1
    population: str = ""
    per_bid_depth: float = 0.0
    long_share: float = 0.8
    leverage_low: float = 10.0
    leverage_high: float = 30.0
    entry_spread: float = 0.02
