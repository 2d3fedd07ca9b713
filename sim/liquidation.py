"""Liquidation policies: how much of a failing account is closed at a time, where it goes, and what that costs.

A policy is a composition (size x outlet x pace) with a name; the named ones state how real venues do it. A scenario
names one (``[clearing] liquidation = "hyperliquid"``) and may change its parameters (``[clearing.policy]``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import ceil, floor
from typing import Any

from pydantic import ValidationError

from sim.contracts import exact
from sim.errors import ConfigError, Problem
from sim.kernels import state as s
from sim.policy_parameters import PolicyParameters
from sim.problems import from_validation, one_of

SIZES = {"full": s.SIZE_FULL, "target": s.SIZE_TARGET, "step": s.SIZE_STEP, "close_factor": s.SIZE_CLOSE_FACTOR}
OUTLETS = {
    "bids_then_book": s.OUTLET_BIDS_THEN_BOOK,
    "book": s.OUTLET_BOOK,
    "liquidators": s.OUTLET_LIQUIDATORS,
    "auction": s.OUTLET_AUCTION,
    "backstop": s.OUTLET_BACKSTOP,
}
AUCTIONS = {"none": s.AUCTION_NONE, "clip": s.AUCTION_CLIP, "share": s.AUCTION_SHARE}
ABOUT = ("summary", "source", "limits")
"""Fields that say what a policy is; the others are its parameters."""
_WINDOW_CELLS = s.FLOW_CELLS - 2
_SLOTS_MOST = 1_000  # slots since the start of a run are kept in 32 bits


@dataclass(frozen=True, slots=True)
class LiquidationPolicy:
    """How accounts under maintenance are closed. Rates are fractions, times seconds, money units of the currency.

    Attributes:
        size: ``"full"``; ``"target"`` (what restores ``target_ratio``); ``"step"`` (``step_fraction`` of
            positions worth more than ``step_above``, the rest whole after the cooldown); ``"close_factor"``
            (``close_fraction`` while equity over maintenance is above ``close_health``, else all).
        outlet: ``"bids_then_book"``, ``"book"``, ``"liquidators"`` (who take over at the bonus, nobody else does),
            ``"auction"`` or ``"backstop"`` (the vault, without one the insurance fund).
        target_ratio: equity over maintenance that a partial liquidation restores.
        step_fraction: share of a position closed in the first step.
        step_above: notional above which a position is closed in steps.
        close_fraction: close factor.
        close_health: equity over maintenance at or below which everything may be closed.
        cooldown_seconds: between two actions on one account; shorter than a step: so many actions in a step.
        flow_lots_per_second: most liquidated lots per second and contract, 0 for no cap.
        flow_window_seconds: the cap counts lots over this window, in which it may be used at once; at least a step.
        bonus: discount at which liquidators, or the backstop, take positions over.
        bonus_slope: added per unit of (1 - equity / maintenance).
        bonus_most: largest bonus.
        protocol_share: share of the bonus that goes to the fund.
        backstop_ratio: equity over maintenance below which the backstop takes the whole account, 0 for never.
        hedge_first: the engine hedges the account's net exposure with the most liquid contract before it closes legs.
        futures_first: linear legs are closed before options.
        bankruptcy_adjustment: slope of the fillable price (``forced_limit = "fillable"``).
        spread_to_maintenance: spread of the fillable price over maintenance.
        auction: ``"none"``, ``"clip"`` (a price that falls from above the mark) or ``"share"`` (a share of the
            account's value that falls with time).
        auction_start: start price over the mark (clip); start factor of the account's value (share).
        auction_step_seconds: between two cuts (clip); 0 for a straight line to zero over the tail.
        auction_cut: factor of the price per cut.
        auction_tail_seconds: until the auction must be reset.
        auction_cusp: share of the start price below which it must be reset.
        auction_tip: paid to the keeper that starts or resets it.
        auction_chip: share of the auctioned value paid to the keeper.
        auction_fast_end: factor at the end of the fast leg (share).
        auction_fast_seconds: length of the fast leg.
        auction_slow_seconds: length of the slow leg, at whose end the factor is zero.
        auction_buffer: part of the shortfall that a bid must restore beyond maintenance (share).
        auction_insolvent_seconds: over which the payment to the taker of an insolvent account grows.
        auction_fee: share of the cash bid paid to the fund.
        summary: the policy in one line.
        source: where its rule is published.
        limits: forced limits under which the policy is what its name says, empty for any.
    """

    size: str = "full"
    outlet: str = "bids_then_book"
    target_ratio: float = 1.5
    step_fraction: float = 0.2
    step_above: float = 0.0
    close_fraction: float = 0.5
    close_health: float = 0.95
    cooldown_seconds: float = 0.0
    flow_lots_per_second: float = 0.0
    flow_window_seconds: float = 0.0
    bonus: float = 0.0
    bonus_slope: float = 0.0
    bonus_most: float = 1.0
    protocol_share: float = 0.0
    backstop_ratio: float = 0.0
    hedge_first: bool = False
    futures_first: bool = False
    bankruptcy_adjustment: float = 1.0
    spread_to_maintenance: float = 1.5
    auction: str = "none"
    auction_start: float = 1.0
    auction_step_seconds: float = 0.0
    auction_cut: float = 0.99
    auction_tail_seconds: float = 8_400.0
    auction_cusp: float = 0.4
    auction_tip: float = 0.0
    auction_chip: float = 0.0
    auction_fast_end: float = 0.7
    auction_fast_seconds: float = 900.0
    auction_slow_seconds: float = 43_200.0
    auction_buffer: float = 0.15
    auction_insolvent_seconds: float = 3_600.0
    auction_fee: float = 0.1
    summary: str = ""
    source: str = ""
    limits: tuple[str, ...] = ()


POLICIES: dict[str, LiquidationPolicy] = {
    "full": LiquidationPolicy(
        summary="all positions at once: standing bids of liquidators, then the book", source="our design"
    ),
    "partial": LiquidationPolicy(
        size="target", summary="only what restores equity to a multiple of maintenance", source="our design"
    ),
    "binance": LiquidationPolicy(
        size="target",
        outlet="book",
        target_ratio=1.0,
        limits=("bankruptcy",),
        summary="orders cancelled, then one immediate-or-cancel order for what brings equity back to maintenance, no "
        "worse than the bankruptcy price; what it leaves goes to the insurance fund",
        source="Binance futures FAQ, liquidation protocols (secondary sources)",
    ),
    "hyperliquid": LiquidationPolicy(
        size="step",
        outlet="book",
        step_fraction=0.2,
        step_above=100_000.0,
        cooldown_seconds=30.0,
        backstop_ratio=2 / 3,
        summary="20 % of positions above 100,000 by market order, after 30 s the whole; below two thirds of "
        "maintenance the account goes to the vault",
        source="hyperliquid.gitbook.io/hyperliquid-docs/trading/liquidations",
    ),
    "deribit": LiquidationPolicy(
        size="target",
        outlet="book",
        target_ratio=1.0,
        cooldown_seconds=1.0,
        futures_first=True,
        summary="incremental, one round a second until maintenance is met, futures before options",
        source="support.deribit.com/hc/en-us/articles/25944769313309",
    ),
    "synthetix": LiquidationPolicy(
        outlet="book",
        flow_lots_per_second=1.0,
        flow_window_seconds=30.0,
        summary="whole positions, at most (maker + taker fee) x skew scale x multiplier a second in each contract",
        source="Synthetix Perps V3, PerpsMarketConfiguration.sol (maxLiquidationAmountInWindow)",
    ),
    "aave": LiquidationPolicy(
        size="close_factor",
        outlet="liquidators",
        close_fraction=0.5,
        close_health=0.95,
        bonus=0.05,
        protocol_share=0.1,
        summary="liquidators take half while health is above 0.95, else all, at a bonus of which the protocol keeps a "
        "part",
        source="github.com/aave/aave-v3-core, LiquidationLogic.sol",
    ),
    "compound": LiquidationPolicy(
        outlet="backstop",
        bonus=0.05,
        summary="absorb: the protocol takes the whole account at the mark less the liquidation penalty",
        source="docs.compound.finance/liquidation",
    ),
    "dydx": LiquidationPolicy(
        outlet="book",
        bankruptcy_adjustment=1.0,
        spread_to_maintenance=1.5,
        limits=("fillable",),
        summary="orders at the fillable price, which moves from the mark towards one and a half times maintenance "
        "beyond it as the account sinks",
        source="github.com/dydxprotocol/v4-chain, protocol/x/clob/keeper/liquidations.go",
    ),
    "drift": LiquidationPolicy(
        size="close_factor",
        outlet="book",
        close_fraction=0.25,
        close_health=0.8,
        summary="a quarter of each position at a time until the requirement is met; below four fifths of it (500 of "
        "625 basis points) everything",
        source="docs.drift.trade/liquidations (v1)",
    ),
    "maker_clip": LiquidationPolicy(
        outlet="auction",
        auction="clip",
        auction_start=1.2,
        auction_step_seconds=90.0,
        auction_cut=0.99,
        auction_tail_seconds=8_400.0,
        auction_cusp=0.4,
        auction_chip=0.001,
        summary="Dutch auction from above the mark, cut by 1 % every 90 s, reset after 140 min or below 40 % of its "
        "start",
        source="MIP45, Liquidations 2.0",
    ),
    "derive_auction": LiquidationPolicy(
        outlet="auction",
        auction="share",
        auction_start=0.95,
        auction_fast_end=0.7,
        auction_fast_seconds=900.0,
        auction_slow_seconds=43_200.0,
        auction_buffer=0.15,
        auction_insolvent_seconds=3_600.0,
        auction_fee=0.1,
        summary="Dutch auction of a share of the account, from 95 % of its value to 70 % in 15 min and to nothing in "
        "12 h; an insolvent account comes with a payment that grows for 60 min",
        source="github.com/derivexyz/v2-core, DutchAuction.sol",
    ),
    "backstop": LiquidationPolicy(
        outlet="backstop",
        summary="the vault, without one the insurance fund, takes every failing account at its bankruptcy price",
        source="our design",
    ),
    "hedge_first": LiquidationPolicy(
        size="target",
        outlet="book",
        target_ratio=1.0,
        hedge_first=True,
        futures_first=True,
        summary="a forced order in the most traded contract brings net delta to zero where that lowers maintenance; "
        "then legs are closed, futures before options",
        source="support.deribit.com/hc/en-us/articles/25944769313309 (portfolio margin)",
    ),
}


def parameters() -> tuple[str, ...]:
    """Names of the parameters of a policy."""
    return tuple(field.name for field in fields(LiquidationPolicy) if field.name not in ABOUT)


def policy(name: str, changes: Mapping[str, Any] | None = None) -> LiquidationPolicy:
    """A named policy with some parameters changed.

    Raises:
        ConfigError: no such policy, or no such parameter.
    """
    if name not in POLICIES:
        raise ConfigError.of("clearing.liquidation", name, one_of(name, POLICIES))
    for key, value in (changes or {}).items():
        if key not in parameters():
            raise ConfigError.of(f"clearing.policy.{key}", value, "one of " + one_of(key, parameters()))
    return replace(POLICIES[name], **dict(changes or {}))


def actions_per_step(cooldown: float, dt: float) -> int:
    """Actions on one account that a step holds: one, or as many as cooldowns fit into it.

    Args:
        cooldown: seconds between two actions, 0 for none.
        dt: seconds per step.
    """
    if not 0 < cooldown < dt:
        return 1
    return min(floor(exact(dt) / exact(cooldown)), _SLOTS_MOST)


def flow_cap(rule: LiquidationPolicy, dt: float) -> tuple[int, int]:
    """Most liquidated lots of a contract within a window, and the steps of that window; (0, 1) without a cap.

    The window is at least a step. Synthetix: (maker + taker fee) x skew scale x multiplier is the rate per second, and
    what was liquidated within the window counts against rate x window.

    Args:
        rule: the policy.
        dt: seconds per step.
    """
    if rule.flow_lots_per_second == 0:
        return 0, 1
    steps = max(ceil(exact(rule.flow_window_seconds) / exact(dt)), 1)
    seconds = max(exact(rule.flow_window_seconds), exact(dt))
    return floor(exact(rule.flow_lots_per_second) * seconds), steps


def synthetix_flow(maker_fee: float, taker_fee: float, skew_scale: float, multiplier: float) -> float:
    """Synthetix' cap on liquidated size per second: (maker + taker fee) x skew scale x multiplier.

    Args:
        maker_fee: fraction of value.
        taker_fee: fraction of value.
        skew_scale: size of the skew at which the price moves by 100 %, in units (or lots) of the contract.
        multiplier: ``maxLiquidationLimitAccumulationMultiplier``.

    Returns:
        Units (or lots) per second.

    Examples:
        >>> round(synthetix_flow(0.0, 0.001, 1_000_000, 1.5), 9)
        1500.0
    """
    return (maker_fee + taker_fee) * skew_scale * multiplier


def policy_problems(
    rule: LiquidationPolicy, dt_seconds: float, forced_limit: str, layers: Sequence[str]
) -> list[Problem]:
    """What is wrong with the parameters of a policy, alone and beside the rest of the venue's design, one line each.

    Args:
        rule: the policy.
        dt_seconds: length of a step.
        forced_limit: limit of forced orders.
        layers: of the waterfall.
    """
    given = {key: getattr(rule, key) for key in parameters()}
    try:
        PolicyParameters.model_validate(given)
    except ValidationError as error:
        return from_validation(error, PolicyParameters, given, file="", prefix="clearing.policy")
    found: list[Problem] = []

    def say(key: str, value: Any, allowed: str) -> None:
        found.append(Problem("", f"clearing.policy.{key}", value, allowed))

    if (rule.outlet == "auction") != (rule.auction != "none"):
        kinds = "clip or share" if rule.outlet == "auction" else "none"
        say("auction", rule.auction, f"{kinds} with the outlet {rule.outlet}")
    if rule.bonus > rule.bonus_most:
        say("bonus", rule.bonus, f"at most bonus_most, {rule.bonus_most:g}")
    _check_pace(rule, dt_seconds, say)
    if not {"fund", "vault"} & set(layers):
        taker = "a fund or vault among clearing.waterfall.layers, for it to take accounts over"
        if rule.backstop_ratio > 0:
            say("backstop_ratio", rule.backstop_ratio, f"0, or {taker}")
        if rule.outlet == "backstop":
            say("outlet", rule.outlet, f"another outlet, or {taker}")
    if rule.limits and forced_limit not in rule.limits:
        allowed = " or ".join(rule.limits) + ", on which this liquidation policy rests"
        found.append(Problem("", "clearing.forced_limit", forced_limit, allowed))
    return found


def _check_pace(rule: LiquidationPolicy, dt: float, say: Any) -> None:
    if rule.flow_lots_per_second == 0:
        return
    cap, steps = flow_cap(rule, dt)
    if steps > _WINDOW_CELLS:
        say("flow_window_seconds", rule.flow_window_seconds, f"at most {_WINDOW_CELLS} steps of {dt:g} s")
    if cap < 1:
        longer = f"at least one lot within its window of {max(rule.flow_window_seconds, dt):g} s"
        say("flow_lots_per_second", rule.flow_lots_per_second, longer)
