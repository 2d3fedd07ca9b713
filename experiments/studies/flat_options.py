"""Options with one gamma at every price, and the option maker who has sold them, for the flat-book law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import agents
from agents.registry import MarketInfo
from sim.contracts import Contract
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


def dealers(strip: Strip, info: MarketInfo) -> Any:
    """A dealer who never quotes, hedges all of its delta once per step at market, and cannot be called."""
    params = {
        "count": 1, "contract": info.contracts[0], "quotes": False, "hedge": "time", "hedge_period": 1,
        "child_lots": 2**40, "capital_lots": 8.0 * max(strip.lots * (strip.below + _ABOVE), 1),
    }  # fmt: skip
    return agents.create("option_makers", DEALERS, params, info)
