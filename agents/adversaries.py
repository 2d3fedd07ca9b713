"""Adversaries: traders who push the price into other traders' liquidation prices.

Where positions and margins are public, everybody can compute at which price whom the venue will sell out. An adversary
looks for the nearest price down to which more is liquidated than rests in the book on the way, sells until the price is
there, and buys back from the forced sellers, with orders that wait below (upwards the other way round). Nothing is
forbidden to him that is allowed to others: he needs capital and margin, pays fees, and may be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Trader
from agents.kernels import adversaries as kernels
from agents.kernels.rows import limit_near_mark
from agents.registry import register
from sim.clock import IN_STEPS
from sim.kernels.state import CAUSE_ADVERSARY, CLOSED, GTC, IOC, OPEN, REDUCE_ONLY, SUBTICKS

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup

SIDES = {"both": 0.0, "down": -1.0, "up": 1.0}


class AdversaryParams(PopulationParams):
    """Parameters of adversaries."""

    count: int = Field(1, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(1000.0, gt=0, description="deposit per trader, lots at full value at step 0")
    period: int = Field(
        1, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    levels: int = Field(10, ge=1, le=1000, description="levels of prices, from the mark outwards, that he looks at")
    width: float = Field(0.005, gt=0, le=0.5, description="width of a level, fraction of the mark")
    threshold: float = Field(1.0, ge=0, description="forced lots per lot of depth on the way that are worth an attack")
    least_lots: int = Field(50, ge=1, description="fewest forced lots that are worth an attack")
    budget_lots: int = Field(500, ge=1, description="largest position, and most depth that he goes through, lots")
    push_lots: int = Field(100, ge=1, description="largest order of the push, lots")
    cover_lots: int = Field(50, ge=1, description="largest order when he covers without forced flow, lots")
    slippage: float = Field(0.01, ge=0, le=0.5, description="limit of his orders beyond target or mark, fraction")
    catch: float = Field(0.01, ge=0, le=0.5, description="distance of the orders that wait for forced flow, fraction")
    patience: int = Field(
        30, ge=1, description="most steps of a push, and of waiting for forced flow to end", json_schema_extra=IN_STEPS
    )
    rest: int = Field(60, ge=1, description="steps between two looks, and after an attack", json_schema_extra=IN_STEPS)
    priority_fee_lots: float = Field(
        0.0, ge=0, description="priority fee of each message, lots at full value at step 0"
    )
    sides: Literal["both", "down", "up"] = Field("both", description="where he pushes: at longs, at shorts or at both")


def decide(desk: Desk) -> None:
    """The turn of every waking adversary, in words."""
    p, quote, step = desk.p, desk.quote, desk.step
    for trader in desk.waking():
        if trader.status == CLOSED:
            continue
        lots = trader.lots()
        seen, trader.seen = trader.seen, quote.liquidated
        if trader.phase == kernels.LOOKING:
            if lots:
                trader.phase, trader.until = kernels.COVERING, step
            elif step < trader.until or trader.status != OPEN:
                continue
            else:
                side, target = choose(desk, trader)
                if not side:
                    trader.until = step + int(p.rest)
                    continue
                trader.phase, trader.side, trader.target = kernels.PUSHING, side, target
                trader.until = step + int(p.patience)
                trader.attacks += 1
                trader.before = float(trader.equity)
        trader.pay_for_speed(int(p.fee))
        if trader.phase == kernels.PUSHING:
            there = trader.side * (quote.mark_subticks - trader.target * SUBTICKS) >= 0
            spent = trader.side * lots >= p.budget_lots or trader.status != OPEN
            if not there and not spent and step < trader.until:
                _push(desk, trader, trader.side * lots)
                continue
            trader.phase, trader.until = kernels.COVERING, step + int(p.patience)
        if lots:
            _cover(desk, trader, lots, flowing=quote.liquidated > seen and step < trader.until)
        else:
            trader.profit += trader.equity - trader.before
            trader.phase, trader.until = kernels.LOOKING, step + int(p.rest)


def choose(desk: Desk, trader: Trader) -> tuple[int, int]:
    """Side and target price of the nearer cluster, of two equally near the larger, of two equal ones the lower."""
    found = []
    for side, unwanted in ((-1, 1.0), (1, -1.0)):
        if desk.p.sides != unwanted:
            level, total = _nearest(desk, trader, side)
            if level >= 0:
                found.append((level, -total, side))
    if not found:
        return 0, 0
    level, _, side = min(found)
    return side, _edge(desk, side, level)


def _edge(desk: Desk, side: int, level: int) -> int:
    return int(limit_near_mark(desk.state, desk.contract, side, (level + 1) * desk.p.width))


def _nearest(desk: Desk, trader: Trader, side: int) -> tuple[int, int]:
    """Nearest level down (up) to which forced lots outweigh the lots that rest on the way, and these lots."""
    p, quote = desk.p, desk.quote
    flow = forced_lots(desk, trader, side)
    best = quote.bid if side < 0 else quote.ask
    for level in range(int(p.levels)):
        total = sum(flow[: level + 1])
        depth = desk.lots_resting(*sorted((best, _edge(desk, side, level)))) if best > 0 else 0
        if best > 0 and side * (_edge(desk, side, level) - best) < 0:
            depth = 0
        if depth > p.budget_lots:
            break
        if total >= p.least_lots and total >= p.threshold * max(depth, 1):
            return level, total
    return -1, 0


def forced_lots(desk: Desk, trader: Trader, side: int) -> list[int]:
    """Others' lots that are liquidated in each level below (above) the mark: the liquidation map."""
    flow = [0] * int(desk.p.levels)
    buckets = desk.state.bucket_heads.shape[2]
    for account in range(len(desk.state.positions)):
        position = desk.state.positions[account, desk.contract]
        bucket, lots = int(position["bucket"]), int(position["lots"])
        if bucket < 0 or side * lots > 0 or account == trader.account:
            continue
        row = bucket if side < 0 else bucket - buckets
        level = int(kernels.level_of(desk.state, desk.contract, side, row, desk.p.width))
        if 0 <= level < len(flow):
            flow[level] += abs(lots)
    return flow


def _moved(desk: Desk, price: int, side: int, fraction: float) -> int:
    return min(max(floor(price * (1 + side * fraction) + 0.5), 1), desk.quote.max_price)


def _rest(desk: Desk, trader: Trader, lots: int, price: int) -> None:
    desk.send(
        trader, lots, tif=GTC, flags=REDUCE_ONLY, price=price, expiry=desk.step + 1, cause=CAUSE_ADVERSARY
    )  # fmt: skip


def _push(desk: Desk, trader: Trader, pushed: int) -> None:
    """Sell (buy) a child order down (up) to beyond the target; what was sold so far waits below to be bought back."""
    p, side = desk.p, trader.side
    limit = _moved(desk, trader.target, side, p.slippage)
    lots = min(int(p.push_lots), int(p.budget_lots) - pushed)
    desk.send(trader, side * lots, tif=IOC, price=limit, cause=CAUSE_ADVERSARY)
    if pushed > 0:
        _rest(desk, trader, -side * pushed, _moved(desk, limit, side, p.catch))


def _cover(desk: Desk, trader: Trader, lots: int, *, flowing: bool) -> None:
    """While forced orders flow, wait for them with everything; then buy back child by child."""
    p, side, child = desk.p, -1 if lots > 0 else 1, 0
    if not flowing:
        child = min(int(p.cover_lots), abs(lots))
        price = int(limit_near_mark(desk.state, desk.contract, side, p.slippage))
        desk.send(trader, side * child, tif=IOC, flags=REDUCE_ONLY, price=price, cause=CAUSE_ADVERSARY)
    if abs(lots) > child:
        price = int(limit_near_mark(desk.state, desk.contract, -side, p.catch))
        _rest(desk, trader, side * (abs(lots) - child), price)


class Adversary(ViewAgent):
    """An adversary's own columns."""

    profit = column("trader_floats", kernels.PROFIT, "Gain of the attacks that are over, minor units.")
    attacks = column("trader_ints", kernels.ATTACKS, "Attacks begun.")
    phase = column("trader_ints", kernels.PHASE, "0 looking, 1 pushing, 2 covering.")
    target = column("trader_ints", kernels.TARGET, "Price of the last attack's target, ticks.")


@register("adversaries")
class Adversaries(Population):
    """Push the price into clusters of liquidation prices and take the other side of the forced orders."""

    Params = AdversaryParams
    View = Adversary
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    INTS = kernels.INTS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel; the fee in minor units of the account currency."""
        p = self.params
        rate = int(setup.state.conversion[int(setup.state.contracts["currency"][self.contract])])
        fee = float(self._minor_units(setup, p.priority_fee_lots) * rate >> 32)
        special = {"fee": fee, "sides": SIDES[p.sides]}
        return special | {name: getattr(p, name) for name in kernels.PARAMS if name not in special}
