"""Leveraged traders of two kinds, because they answer a margin rule in two ways.

*Trend followers* open a position at their leverage when a move is strong for their horizon, then hold without
rebalancing until the trend has turned, or until they are forced out: a margin rule moves them only as they open.
*Leverage targeters* keep exposure over equity near a target, min(own target, headroom / initial rate), so a rise of the
rate makes them sell, and a fall lets them buy (Adrian & Shin 2010, Journal of Financial Intermediation 19:418-437).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Trader
from agents.kernels import leveraged as kernels
from agents.kernels.rows import (
    DRAW_ROW,
    DRAW_SETUP,
    DRAW_SETUP_CAPITAL,
    exponentials_of,
    limit_near_mark,
    normals_of,
    uniforms_of_rows,
)
from agents.registry import MarketInfo, register
from sim.clock import IN_STEPS
from sim.kernels import realmath
from sim.kernels.state import IOC, OPEN, REDUCE_ONLY

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class LeveragedParams(PopulationParams):
    """Parameters that both kinds share."""

    count: int = Field(1000, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(2.0, gt=0, description="mean deposit per trader, lots at full value at step 0")
    capital_sigma: float = Field(0.0, ge=0, le=3, description="standard deviation of the logarithm of deposits")
    period: int = Field(
        30, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    leverage_low: float = Field(2.0, gt=0, le=1000, description="lowest leverage (log-uniform over traders)")
    leverage_high: float = Field(50.0, gt=0, le=1000, description="highest leverage")
    headroom: float = Field(0.9, gt=0, le=1, description="leverage never exceeds headroom / initial rate")
    cooldown: int = Field(
        720, ge=0, description="steps out of the market after a liquidation", json_schema_extra=IN_STEPS
    )
    slippage: float = Field(0.003, ge=0, le=0.5, description="limit of opening orders, fraction beyond the mark")
    exit_slippage: float = Field(0.02, ge=0, le=0.5, description="limit of reducing orders, fraction beyond the mark")

    @model_validator(mode="after")
    def _ordered(self) -> LeveragedParams:
        if self.leverage_low > self.leverage_high:
            raise ValueError("leverage_low at most leverage_high")
        return self


class TrendFollowerParams(LeveragedParams):
    """Parameters of trend followers."""

    horizon_low: int = Field(
        60,
        ge=1,
        le=1_000_000,
        description="shortest horizon of a trend (log-uniform), steps",
        json_schema_extra=IN_STEPS,
    )
    horizon_high: int = Field(
        2700,
        ge=1,
        le=1_000_000,
        description="longest horizon, steps",
        json_schema_extra=IN_STEPS,
    )
    contrarian_share: float = Field(0.25, ge=0, le=1, description="share of traders who trade against the trend")
    bias: float = Field(0.25, description="added to every signal; positive: more longs")
    open_z: float = Field(0.8, ge=0, description="signal beyond which a position is opened")
    exit_z: float = Field(1.0, ge=0, description="signal against the position beyond which it is closed")
    attention: float = Field(0.05, gt=0, lt=1, description="probability per decision that a flat trader may open")

    @model_validator(mode="after")
    def _horizons(self) -> TrendFollowerParams:
        if self.horizon_low > self.horizon_high:
            raise ValueError("horizon_low at most horizon_high")
        return self


class LeverageTargeterParams(LeveragedParams):
    """Parameters of leverage targeters."""

    leverage_high: float = Field(20.0, gt=0, le=1000, description="highest target leverage")
    long_share: float = Field(0.7, ge=0, le=1, description="share of traders who hold long positions")
    enter_steps: int = Field(
        1440, ge=0, description="steps over which traders come in at the start", json_schema_extra=IN_STEPS
    )
    tolerance: float = Field(0.1, ge=0, lt=1, description="gap that is left, as a fraction of the position")
    child_lots: int = Field(10, ge=1, description="largest order, lots")


def _may_trade(desk: Desk, trader: Trader) -> bool:
    """Open, not under a call, and past the pause after a liquidation."""
    last = trader.last_liquidation
    return trader.status == OPEN and (last < 0 or desk.step - last >= desk.p.cooldown)


def _affordable_leverage(desk: Desk, wanted: float) -> float:
    """What the trader wants, unless the initial rate allows less (with headroom)."""
    rate = desk.quote.rate_initial
    return min(wanted, desk.p.headroom / rate) if rate > 0 else wanted


def _leave(desk: Desk, trader: Trader, lots: int) -> None:
    """Reduce by signed lots, at a limit not far from the mark."""
    price = int(limit_near_mark(desk.state, desk.contract, 1 if lots > 0 else -1, desk.p.exit_slippage))
    desk.send(trader, lots, tif=IOC, flags=REDUCE_ONLY, price=price)


def _enter(desk: Desk, trader: Trader, lots: int) -> None:
    """Take signed lots at a limit not far from the mark."""
    price = int(limit_near_mark(desk.state, desk.contract, 1 if lots > 0 else -1, desk.p.slippage))
    desk.send(trader, lots, tif=IOC, price=price)


def follow(desk: Desk) -> None:
    """Every waking trend follower's decision, in words."""
    p, quote = desk.p, desk.quote
    wake = desk.step // desk.period
    sigma = sqrt(quote.variance_slow)
    if sigma <= 0:
        return
    for trader in desk.waking():
        lots = trader.lots()
        if lots == 0:
            # attention comes at a fixed probability per wake, whether flat or not: gaps are geometric
            while trader.next_attention < wake:
                trader.attentions += 1
                u = desk.uniform(DRAW_ROW, trader.attentions, trader.row)
                trader.next_attention += 1 + int(desk.ln(u) / p.log_miss)
            if trader.next_attention > wake:
                continue
        move = quote.log_mid(0) - quote.log_mid(trader.horizon)
        signal = trader.direction * (move / (sigma * sqrt(trader.horizon))) + p.bias
        if lots:
            if (signal if lots > 0 else -signal) < -p.exit_z:
                _leave(desk, trader, -lots)
        elif abs(signal) > p.open_z and _may_trade(desk, trader):
            leverage = min(_affordable_leverage(desk, trader.leverage), 1.0 / (quote.rate_initial + p.slippage))
            size = min(int(leverage * max(trader.equity, 0) / quote.lot_value), quote.max_lots)
            if size > 0:
                _enter(desk, trader, size if signal > 0 else -size)


def rebalance(desk: Desk) -> None:
    """Every waking leverage targeter's decision, in words."""
    p, quote = desk.p, desk.quote
    for trader in desk.waking():
        if trader.enter_step > desk.step:
            continue
        lots = trader.lots()
        leverage = _affordable_leverage(desk, trader.leverage)
        size = min(int(leverage * max(trader.equity, 0) / quote.lot_value), quote.max_lots)
        gap = trader.direction * size - lots
        if abs(gap) <= p.tolerance * max(size, abs(lots)):
            continue
        if gap * lots < 0:
            bound = min(int(p.child_lots), abs(lots))
            _leave(desk, trader, min(max(gap, -bound), bound))
        elif _may_trade(desk, trader):
            _enter(desk, trader, min(max(gap, -int(p.child_lots)), int(p.child_lots)))


class TrendFollower(ViewAgent):
    """A trend follower's view."""

    leverage = column("trader_floats", kernels.LEVERAGE, "Leverage at which positions are opened.")
    horizon = column("trader_ints", kernels.HORIZON, "Horizon of the trend, steps.")
    direction = column("trader_ints", kernels.DIRECTION, "1 with the trend, -1 against it.")


class LeverageTargeter(ViewAgent):
    """A leverage targeter's view."""

    leverage = column("trader_floats", kernels.LEVERAGE, "Target leverage.")
    direction = column("trader_ints", kernels.T_DIRECTION, "1 long, -1 short.")
    enter_step = column("trader_ints", kernels.T_ENTER_STEP, "First step in the market.")


class _Leveraged(Population):
    """What both kinds share: deposits that may differ from trader to trader."""

    FLOATS = kernels.FLOATS

    def capital(self, setup: PopulationSetup) -> np.ndarray:
        """Lognormal deposits with the stated mean, int64[count]."""
        sigma = self.params.capital_sigma
        if sigma == 0:
            return super().capital(setup)
        normals = normals_of(uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP_CAPITAL, self.count))
        factor = exponentials_of(sigma * normals - 0.5 * sigma * sigma)[:, 0]
        return np.floor(self._minor_units(setup, self.params.capital_lots) * factor).astype(np.int64)


@register("trend_followers")
class TrendFollowers(_Leveraged):
    """Leveraged; open on a trend or against it, then hold."""

    Params = TrendFollowerParams
    View = TrendFollower
    PARAMS = kernels.PARAMS
    INTS = kernels.INTS
    decide: ClassVar[Any] = staticmethod(kernels.follow)

    def __init__(self, name: str, params: TrendFollowerParams, market: MarketInfo) -> None:
        """Take checked parameters; the longest horizon must be within the history that the market keeps."""
        super().__init__(name, params, market)
        self.history = params.horizon_high + 1

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        p = self.params
        values = {name: getattr(p, name) for name in kernels.PARAMS if name != "log_miss"}
        return values | {"log_miss": realmath.ln(1.0 - p.attention)}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw leverage, horizon and direction."""
        p = self.params
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        bounds = np.array([p.leverage_low, p.leverage_high, p.horizon_low, p.horizon_high, p.contrarian_share])
        kernels.fill_followers(setup.state, setup.first, uniforms, bounds)


@register("leverage_targeters")
class LeverageTargeters(_Leveraged):
    """Rebalance to a leverage that the margin rule bounds."""

    Params = LeverageTargeterParams
    View = LeverageTargeter
    PARAMS = kernels.TARGETER_PARAMS
    INTS = kernels.TARGETER_INTS
    decide: ClassVar[Any] = staticmethod(kernels.rebalance)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        return {name: getattr(self.params, name) for name in kernels.TARGETER_PARAMS}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw target leverage, direction and time of entry."""
        p = self.params
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        bounds = np.array([p.leverage_low, p.leverage_high, p.long_share, float(p.enter_steps)])
        kernels.fill_targeters(setup.state, setup.first, uniforms, bounds)
