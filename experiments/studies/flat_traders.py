"""Who makes a flat book, and the leveraged longs below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from agents.columns import PopulationParams
from agents.python_agent import PythonPopulation, PythonTrader

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup

SELL, BUY, BID, SALE = 1, 2, 3, 4
"""Steps: the longs' positions are offered, bought, the bids rest, the sale comes."""
TICK_VALUE = 1_000
"""Minor units per tick and lot: liquidation prices are exact to a thousandth of a tick."""


class ProviderParams(PopulationParams):
    """What the provider quotes."""

    price: int = Field(ge=2, description="start price, ticks")
    asks: int = Field(ge=0, description="lots sold at the start price")
    depth: int = Field(ge=1, description="bid lots per tick")
    ticks: int = Field(ge=1, description="ticks with bids, from one below the start price")
    wall: bool = Field(description="stand asks one tick above the start price too")


class Provider(PythonTrader):
    """Sells the longs their positions, then rests bids of constant depth, once."""

    def step(self) -> None:
        """Act in two steps only: what is taken from the book is not put back."""
        p = self.params
        if self.now == SELL:
            self.limit(-p.asks, p.price)
        elif self.now == BID:
            for tick in range(p.price - p.ticks, p.price):
                self.limit(p.depth, tick)
            if p.wall:
                self.limit(-p.depth, p.price + 1)


class Providers(PythonPopulation):
    """A flat book: bids of constant depth per tick, never refilled."""

    Params = ProviderParams
    agent = Provider

    def capital(self, setup: PopulationSetup) -> np.ndarray:
        """Cash that pays for every lot in full, several times."""
        p = self.params
        return np.array([4 * p.price * TICK_VALUE * (p.asks + p.depth * p.ticks)], np.int64)


class HolderParams(PopulationParams):
    """The longs below the book."""

    price: int = Field(ge=2, description="start price, ticks")
    lots: tuple[int, ...] = Field(description="position of each account")
    deposits: tuple[int, ...] = Field(description="deposit of each account, minor units")


class Holder(PythonTrader):
    """Buys once at the start price and then holds."""

    def step(self) -> None:
        """Buy in the second step."""
        if self.now == BUY:
            self.limit(self.params.lots[self.row], self.params.price)


class Holders(PythonPopulation):
    """Leveraged longs whose liquidation prices are spread evenly."""

    Params: ClassVar[type[PopulationParams]] = HolderParams
    agent = Holder

    def capital(self, setup: PopulationSetup) -> np.ndarray:
        """The deposits that put each liquidation price where it belongs."""
        return np.array(self.params.deposits, np.int64)

    def decide_python(self, market: Any) -> None:
        """Ask the longs in the one step in which they act."""
        if market.tick == BUY:
            super().decide_python(market)
