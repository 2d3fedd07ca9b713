"""Liquidation policies: how much of a failing account is closed at a time, where it goes, and what that costs.

A policy is a composition (size x outlet x pace) with a name; the named ones state how real venues do it. A scenario
names one (``[clearing] liquidation = "hyperliquid"``) and may change its parameters (``[clearing.policy]``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sim.errors import ConfigError
from sim.kernels import state as s

SIZES = {"full": s.SIZE_FULL, "target": s.SIZE_TARGET, "step": s.SIZE_STEP, "close_factor": s.SIZE_CLOSE_FACTOR}
OUTLETS = {
    "bids_then_book": s.OUTLET_BIDS_THEN_BOOK,
    "book": s.OUTLET_BOOK,
    "liquidators": s.OUTLET_LIQUIDATORS,
    "auction": s.OUTLET_AUCTION,
    "backstop": s.OUTLET_BACKSTOP,
}
AUCTIONS = {"none": s.AUCTION_NONE, "clip": s.AUCTION_CLIP, "share": s.AUCTION_SHARE}


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
        cooldown_seconds: between two actions on one account.
        flow_lots_per_second: most liquidated lots per second and contract, 0 for no cap.
        bonus: discount at which liquidators take positions over.
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


POLICIES: dict[str, LiquidationPolicy] = {
    "full": LiquidationPolicy(
        summary="all positions at once: standing bids of liquidators, then the book", source="our design"
    ),
    "partial": LiquidationPolicy(
        size="target", summary="only what restores equity to a multiple of maintenance", source="our design"
    ),
}


def policy(name: str, changes: Mapping[str, Any] | None = None) -> LiquidationPolicy:
    """A named policy with some parameters changed.

    Raises:
        ConfigError: no such policy, or no such parameter.
    """
    if name not in POLICIES:
        raise ConfigError.of("clearing.liquidation", name, "one of " + ", ".join(POLICIES))
    known = {field.name for field in fields(LiquidationPolicy)}
    for key, value in (changes or {}).items():
        if key not in known:
            raise ConfigError.of(f"clearing.policy.{key}", value, "one of " + ", ".join(sorted(known)))
    return replace(POLICIES[name], **dict(changes or {}))
