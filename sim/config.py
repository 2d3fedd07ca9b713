"""Plain configuration of a market: what a scenario file becomes once it is validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.breakers import Breakers
from sim.kernels import state as s
from sim.liquidation import POLICIES, LiquidationPolicy
from sim.marks import Marking
from sim.waterfall import Waterfall

LAYOUTS = {"cross": s.CROSS, "isolated": s.ISOLATED}
MARK_RULES = {
    "last": s.MARK_LAST,
    "mid": s.MARK_MID,
    "ema": s.MARK_EMA,
    "twap": s.MARK_TWAP,
    "index": s.MARK_INDEX,
    "index_median": s.MARK_INDEX_MEDIAN,
    "hyperliquid": s.MARK_HYPERLIQUID,
    "deribit": s.MARK_DERIBIT,
}
FORCED_LIMITS = {
    "none": s.LIMIT_NONE,
    "bankruptcy": s.LIMIT_BANKRUPTCY,
    "band": s.LIMIT_BAND,
    "fillable": s.LIMIT_FILLABLE,
}
ORDERINGS = {"random": s.ORDER_RANDOM, "priority_fee": s.ORDER_PRIORITY_FEE}
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
        ordering: order in which a step's messages arrive: ``"random"`` (keyed draws), or ``"priority_fee"`` (a block
            builder's: higher fees first, keyed draws among equals).
    """

    steps: int
    dt_seconds: float = 60.0
    steps_per_day: int = 1440
    self_trade_prevention: str = "cancel_resting"
    fast_volatility_steps: float = 20.0
    slow_volatility_steps: float = 1000.0
    interest_rate: float = 0.0
    minor_units: Mapping[str, int] = field(default_factory=dict)
    ordering: str = "random"


@dataclass(frozen=True, slots=True)
class ClearingConfig:
    """Marks, calls, liquidation and the default waterfall.

    Attributes:
        mark: rule of the mark, a key of ``MARK_RULES``.
        mark_ema_half_life_seconds: half-life of the averages of mid and basis.
        mark_window_seconds: window of the time-weighted average.
        notice_steps: steps until published risk parameters bind maintenance.
        max_rounds: liquidation rounds within a step.
        grace_steps: steps between a margin call and liquidation, 0 for none.
        policy: how accounts under maintenance are closed.
        forced_limit: limit of forced orders: ``"none"``, ``"bankruptcy"``, ``"band"`` or ``"fillable"``.
        surplus_to: who keeps what is left after a full liquidation: ``"fund"`` or ``"trader"``.
        fund_initial: insurance fund at step 0, minor units.
        fund_unwind_lots: most lots per step and contract that the fund sells of what it took over.
        haircuts: part of the value of each other currency that does not count as collateral, by name; default none.
        waterfall: who pays what a failed account leaves unpaid.
        breakers: halts, bands, throttles, margin multipliers.
        marking: parameters of the mark rules.
    """

    mark: str = "mid"
    mark_ema_half_life_seconds: float = 600.0
    mark_window_seconds: float = 600.0
    notice_steps: int = 1
    max_rounds: int = 50
    grace_steps: int = 0
    policy: LiquidationPolicy = POLICIES["full"]
    forced_limit: str = "none"
    surplus_to: str = "trader"
    fund_initial: int = 0
    fund_unwind_lots: int = 5
    haircuts: Mapping[str, float] = field(default_factory=dict)
    waterfall: Waterfall = field(default_factory=Waterfall)
    breakers: Breakers = field(default_factory=Breakers)
    marking: Marking = field(default_factory=Marking)


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """What a run keeps.

    Attributes:
        every: steps between rows of the step table.
        trades: keep every fill.
        refusals: keep refused, expired and self-trading orders among the events.
        depth_every: steps between readings of the depth within 5 %.
        totals_every: steps between sums of requirement, equity and notional over accounts.
        causes: keep what moved each mark and what brought each account into liquidation (:mod:`sim.causes`).
    """

    every: int = 1
    trades: bool = False
    refusals: bool = False
    depth_every: int = 10
    totals_every: int = 60
    causes: bool = False


@dataclass(frozen=True, slots=True)
class ScriptedEvent:
    """Something that a scenario scripts. Events that touch the value path live in the world, not here.

    Attributes:
        name: of the event; forks and measures refer to it.
        kind: ``"metaorder"``, ``"withdraw_makers"``, ``"seed_open_interest"``, ``"seed_options"``,
            ``"swap_collateral"`` or ``"moment"``; other kinds only mark their step.
        step: step before which it happens: its first effects are in step ``step + 1``.
        contract: contract index.
        side: 1 buy, -1 sell (metaorder).
        lots: size in lots; 0 when stated otherwise; of every option, negative where they are sold (seed_options).
        steps: duration in steps.
        population: name of the population (seed_open_interest, seed_options).
        per_bid_depth: open interest as a multiple of bid lots within 5 % of the mid (seed_open_interest).
        long_share: share of the seeded lots that is long.
        leverage_low: smallest leverage of seeded positions.
        leverage_high: largest.
        entry_spread: standard deviation of log entry prices around the mark.
        currency: name of a currency (swap_collateral).
        share: part of each wallet (swap_collateral).
        options: numbers of the options that may be given (seed_options).
        gamma_per_depth: lots by which the hedge of the options changes while the underlying falls 5 %, over the bid
            lots resting within 5 % of the mid; positive where the population buys options (seed_options).
        strikes: least and largest strike over the price of the underlying (seed_options).
        leverage: value of the options' underlying over the cash that the population brings; 0: it keeps its own
            (seed_options).
        hedged: give a position in ``contract`` that offsets the delta (seed_options).
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
    currency: str = ""
    share: float = 1.0
    options: tuple[int, ...] = ()
    gamma_per_depth: float = 0.0
    strikes: tuple[float, float] = (0.9, 1.1)
    leverage: float = 0.0
    hedged: bool = True
