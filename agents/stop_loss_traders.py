"""Stop-loss traders: they hold positions whose stops rest off the book until a price triggers them.

A stop is no order: it is a level that the trader (or the venue for him) watches, and that becomes a market order once
the mark, or the last trade, is through it. Stops therefore add to a move instead of resting against it, and many of
them at close levels sell one after another as the price falls through them: a price cascade (Osler 2005, Journal of
International Money and Finance 24:219-241). Stops of customers cluster just behind round numbers, those that sell below
and those that buy above (Osler 2003, Journal of Finance 58:1791-1819).

Columns (``trader_ints``): ``stop``, the level in whole ticks, 0 where there is none; ``distance``, ticks from the price
to the stop when it was set; ``due``, the step at which a position is ended whatever the price, or a flat trader enters
again; ``draws``, how often the row has drawn. What a stop will trade is the row's position in the population's
contract: a long sells all of it once the trigger price is at ``stop`` or below, a short buys at ``stop`` or above. The
rows that have a live stop are those with both a position and ``stop > 0`` (a stop without a position belongs to an
entry that is not filled yet, or to a position that has just ended).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Trader
from agents.kernels import stop_loss_traders as kernels
from agents.kernels.rows import DRAW_ROW, DRAW_SETUP, limit_near_mark, uniforms_of_rows
from agents.registry import MarketInfo, register
from sim.clock import IN_STEPS
from sim.kernels.state import CLOSED, IOC, MARKET, OPEN, REDUCE_ONLY, SUBTICKS

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class StopLossTraderParams(PopulationParams):
    """Parameters of stop-loss traders."""

    count: int = Field(200, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(10.0, gt=0, description="deposit per trader, lots at full value at step 0")
    long_share: float = Field(0.7, ge=0, le=1, description="share of entries that buy")
    size_mean: float = Field(5.0, ge=1, description="mean position, lots (one lot and an exponential rest)")
    stop_least: float = Field(0.005, ge=0, lt=1, description="least distance of a stop, fraction of the price")
    stop_mean: float = Field(
        0.02, gt=0, lt=1, description="mean distance of stops, fraction of the price (exponential beyond the least)"
    )
    round_ticks: int = Field(50, ge=2, le=1_000_000, description="ticks between round numbers")
    round_share: float = Field(0.5, ge=0, le=1, description="share of stops that stand just behind a round number")
    trailing: bool = Field(False, description="stops follow the price at their distance as it moves away from them")
    trigger: Literal["mark", "last"] = Field("mark", description="price that triggers stops")
    hold: float = Field(
        2880.0, gt=0, description="mean time after which a position is ended anyway, steps", json_schema_extra=IN_STEPS
    )
    pause: float = Field(
        240.0, gt=0, description="mean time between positions and before the first, steps", json_schema_extra=IN_STEPS
    )
    headroom: float = Field(0.8, gt=0, le=1, description="most initial margin of the position over equity")
    slippage: float = Field(0.003, ge=0, le=0.5, description="limit of entries, fraction beyond the mark")

    @model_validator(mode="after")
    def _ordered(self) -> StopLossTraderParams:
        if self.stop_least > self.stop_mean:
            raise ValueError("stop_least at most stop_mean")
        return self


def _set_stop(desk: Desk, trader: Trader, price: int, side: int, u: float, v: float) -> None:
    """The stop of a position: an exponential distance, or just behind the round number nearest to that."""
    p = desk.p
    distance = min(p.stop_least - (p.stop_mean - p.stop_least) * desk.ln(u), 0.99)
    trader.stop = int(kernels.stop_level(price, side, distance, v < p.round_share, int(p.round_ticks)))
    trader.distance = abs(price // SUBTICKS - trader.stop)


def _enter(desk: Desk, trader: Trader, price: int, four: tuple[float, float, float, float]) -> None:
    """A position as large as drawn and as margin allows, with its stop."""
    p, quote = desk.p, desk.quote
    needed = quote.lot_value * (quote.rate_initial + p.slippage)
    room = quote.max_lots
    if needed > 0:
        room = min(room, int(min(p.headroom * max(trader.equity, 0) / needed, 4e18)))
    side = 1 if four[0] < p.long_share else -1
    size = min(int(1.0 - (p.size_mean - 1.0) * desk.ln(four[1]) + 0.5), room)
    if size > 0:
        _set_stop(desk, trader, price, side, four[2], four[3])
        limit = int(limit_near_mark(desk.state, desk.contract, side, p.slippage))
        desk.send(trader, side * size, tif=IOC, price=limit)


def decide(desk: Desk) -> None:
    """The decision of every trader in every step, in words."""
    p, quote = desk.p, desk.quote
    price = int(kernels.trigger_price(desk.state, desk.contract, p.on_last))
    for trader in desk.waking():
        if trader.status == CLOSED:
            continue
        lots = trader.lots()
        side = 1 if lots > 0 else -1
        if lots and trader.stop:
            if side * (price - trader.stop * SUBTICKS) <= 0 or desk.step >= trader.due:
                size = min(abs(lots), quote.max_lots)
                desk.send(trader, -side * size, tif=IOC, flags=MARKET | REDUCE_ONLY)
            elif p.trailing:
                follow = price // SUBTICKS - side * trader.distance
                trader.stop = max(trader.stop, follow) if lots > 0 else min(trader.stop, follow)
            continue
        if not lots and not trader.stop and (desk.step < trader.due or trader.status != OPEN):
            continue
        trader.draws += 1
        four = desk.uniform4(DRAW_ROW, trader.draws, trader.row)
        times = desk.uniform4(DRAW_ROW, trader.draws, trader.row, block=1)
        if not lots and trader.stop:  # the position has ended
            trader.stop = 0
            trader.due = desk.step + 1 - int(p.pause * desk.ln(times[1]))
            continue
        if lots:  # a position that came otherwise, as by a scripted trade, gets its stop now
            _set_stop(desk, trader, price, side, four[2], four[3])
        else:
            _enter(desk, trader, price, four)
        trader.due = desk.step + 1 - int(p.hold * desk.ln(times[0]))


class StopLossTrader(ViewAgent):
    """A stop-loss trader's view."""

    stop = column("trader_ints", kernels.STOP, "Stop of the position in ticks, 0 where there is none.")
    due = column("trader_ints", kernels.DUE, "Step at which the position is ended, or a flat trader enters.")


@register("stop_loss_traders")
class StopLossTraders(Population):
    """Hold positions with stops off the book."""

    Params = StopLossTraderParams
    View = StopLossTrader
    PARAMS = kernels.PARAMS
    INTS = kernels.INTS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def __init__(self, name: str, params: StopLossTraderParams, market: MarketInfo) -> None:
        """Take checked parameters; stops are watched in every step."""
        super().__init__(name, params, market)
        self.period = 1

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        named = {name: getattr(self.params, name) for name in kernels.PARAMS if name != "on_last"}
        return named | {"on_last": self.params.trigger == "last"}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw the steps of the first entries."""
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        self.column(setup.state, "due")[:] = 1 + np.floor(2.0 * self.params.pause * uniforms[:, 0]).astype(np.int64)
