"""Options with one gamma at every price, and the dealer who has sold them, for the flat-book law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from agents.columns import PopulationParams
from agents.python_agent import PythonPopulation, PythonTrader
from agents.registry import MarketInfo
from sim.contracts import Contract
from sim.deltas import hedge_lots, live_options
from sim.interfaces import PopulationSetup
from sim.options import black76_price

CHAIN = "strip"
DEALERS = "dealers"
_STRIKES = 40  # below the start price
_ABOVE = 6  # strikes above it, so that gamma is whole at the start
_YEARS = 1.0


@dataclass(frozen=True)
class Strip:
    """Calls at evenly spaced strikes, as many lots of each.

    The sum over all strikes K of C(S, K) is proportional to S^2, so that its gamma does not depend on S: lots over
    spacing. Volatility is such that a standard deviation of the price at expiry is one spacing, at which the comb of
    strikes is not felt (the ripple of gamma is below one in ten thousand).

    Attributes:
        start: price at the start, ticks.
        reach: ticks below it down to which gamma is wanted.
        gamma: lots per tick by which the delta of the calls changes.
    """

    start: int
    reach: int
    gamma: float

    @property
    def spacing(self) -> int:
        """Ticks between strikes."""
        return max(-(-self.reach // _STRIKES), 1)

    @property
    def below(self) -> int:
        """Strikes below the start price."""
        return max(-(-self.reach // self.spacing), 1)

    @property
    def lots(self) -> int:
        """Lots of every call."""
        return round(self.gamma * self.spacing)

    @property
    def exact_gamma(self) -> float:
        """Gamma of whole lots."""
        return self.lots / self.spacing

    @property
    def end(self) -> float:
        """Lots that the hedge holds at the start and has sold once the price is below every strike."""
        return float(self.lots * self.below)

    def contracts(self, underlying: Contract, steps_per_day: int) -> list[Contract]:
        """The calls, halfway between multiples of the spacing around the start price."""
        volatility = self.spacing / self.start / math.sqrt(_YEARS)
        found = []
        for j in range(-self.below, _ABOVE):
            strike = self.start + j * self.spacing + self.spacing / 2
            premium = float(black76_price("call", float(self.start), strike, _YEARS, volatility))
            found.append(
                Contract(
                    f"call-{j + self.below}", kind="linear_option", tick_value=underlying.tick_value,
                    initial_price=max(round(premium), 1), max_price=underlying.max_price, max_lots=underlying.max_lots,
                    price_band=0.99, fee_liquidation=0.0, underlying=underlying.name, strike=strike,
                    option_type="call", expiry_step=round(_YEARS * 365 * steps_per_day), volatility=volatility,
                    chain=CHAIN, priced_on="mark",
                )
            )  # fmt: skip
        return found


class DealerParams(PopulationParams):
    """What the dealer can pay for."""

    capital: int = Field(ge=0, description="deposit, minor units")


class Dealer(PythonTrader):
    """Holds what it was given and keeps its delta at zero, at market, once per step."""

    def step(self) -> None:
        """Trade the difference between the position and minus the delta of the options at the mark."""
        market = self.model
        options = live_options(market, self.population.contract)
        held = np.array([self.position(k) for k in options])
        if not held.any():
            return
        delta = float(held @ hedge_lots(market, self.population.contract, options, 1.0)[:, 0])
        self.market(-round(delta) - self.lots)


class Dealers(PythonPopulation):
    """A dealer who hedges the delta of its options in full."""

    Params = DealerParams
    agent = Dealer

    def capital(self, setup: PopulationSetup) -> np.ndarray:
        """Enough never to be called."""
        return np.full(self.count, self.params.capital, np.int64)

    def hedged_share(self, market: Any) -> float:
        """All of the delta is hedged."""
        return 1.0


def dealers(strip: Strip, info: MarketInfo, tick_value: int) -> Dealers:
    """The dealer of a strip, with cash for every loss that it can have."""
    capital = 8 * strip.start * tick_value * max(strip.lots * (strip.below + _ABOVE), 1)
    return Dealers(DEALERS, DealerParams(capital=capital, contract=info.contracts[0]), info)
