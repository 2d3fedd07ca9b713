"""Parameters of SPAN: scan ranges, scenarios, spreads, credits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from margin.parameters import NonNegative, NonNegativePerContract, Parameters, Positive

# price (in scan ranges; 3: the extreme multiple), volatility (in scan ranges) of scenarios 1 to 16
_SIGNS = (0, 0, 1, 1, -1, -1, 2, 2, -2, -2, 3, 3, -3, -3)
SCENARIOS = 16
# the scenario with the opposite volatility move; the extreme ones have none
PARTNER = np.array([1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14, 15], np.int64)
ARRAY_LENGTH = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=SCENARIOS, max_length=SCENARIOS)
]


class SpreadCredit(Parameters):
    """``[[margin.params.credits]]``: a spread between combined commodities that is charged less than its legs."""

    legs: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        min_length=2, description="signed units of each underlying per spread, such as {SP = 1.0, ND = -2.0}"
    )
    credit: float = Field(gt=0.0, le=1.0, description="part of the legs' price risk that is forgiven")

    @model_validator(mode="after")
    def _both_sides(self) -> SpreadCredit:
        if any(ratio == 0.0 for ratio in self.legs.values()):
            raise ValueError("legs that are not zero")
        return self


class SpanParameters(Parameters):
    """Parameters of :class:`margin.span.Span`; amounts in price units are per unit of the underlying."""

    price_scan_rate: NonNegativePerContract = Field(
        0.0, description="price scan range as a fraction of the price, one number or by contract or underlying"
    )
    price_scan_range: NonNegativePerContract = Field(
        0.0, description="price scan range in price units, goes before the rate where it is above 0"
    )
    price_scan_sigmas: NonNegative = Field(
        0.0, description="price scan range in daily volatilities of the underlying; the rate is then its minimum"
    )
    price_scan_days: Positive = Field(1.0, description="days of those volatilities (square root of time)")
    volatility_scan_range: NonNegativePerContract = Field(0.0, description="volatility scan range, such as 0.04")
    volatility_scan_rate: NonNegativePerContract = Field(
        0.0, description="volatility scan range as a fraction of the implied volatility; the larger of both holds"
    )
    lookahead_days: NonNegative = Field(1.0, description="days that pass until options are revalued")
    thirds: Literal["exact", "rounded"] = Field("exact", description="thirds of the range, or .333 and .667 of it")
    extreme_multiplier: Positive = Field(2.0, le=20.0, description="extreme moves in price scan ranges")
    extreme_cover: float = Field(0.35, gt=0.0, le=1.0, description="part of an extreme loss that counts")
    calendar_rate: NonNegativePerContract = Field(
        0.0, description="charge per unit spread between months, as a fraction of the far month's price"
    )
    calendar_charge: NonNegativePerContract = Field(
        0.0, description="the same in price units, goes before the rate where it is above 0"
    )
    calendar_rate_per_month: NonNegative = Field(0.0, description="least rate per month between the legs")
    calendar_rate_max: Positive = Field(1.0, description="largest rate of a calendar spread")
    delivery_rate: NonNegativePerContract = Field(
        0.0, description="charge per unit of net delta in a month about to be delivered, fraction of the price"
    )
    delivery_charge: NonNegativePerContract = Field(0.0, description="the same in price units")
    delivery_days: NonNegative = Field(0.0, description="days before expiry in which a month pays for delivery")
    short_option_minimum_rate: NonNegativePerContract = Field(
        0.0, description="least charge per unit of each short option, fraction of the underlying's forward price"
    )
    short_option_minimum: NonNegativePerContract = Field(0.0, description="the same in price units")
    credits: tuple[SpreadCredit, ...] = Field((), description="spreads between commodities, by priority")
    delta_weights: tuple[NonNegative, NonNegative, NonNegative, NonNegative] = Field(
        (0.270, 0.217, 0.110, 0.037),
        description="weights of composite delta at no move, and at each of one, two and three thirds up and down",
    )
    risk_arrays: dict[str, ARRAY_LENGTH] = Field(
        default_factory=dict,
        description="profits of one long contract in the 16 scenarios, settlement currency, in place of the computed",
    )
    risk_deltas: dict[str, Annotated[float, Field(ge=-1.0, le=1.0)]] = Field(
        default_factory=dict, description="composite delta per unit of contracts with given arrays"
    )
    initial_ratio: float = Field(1.1, ge=1.0, le=100.0, description="initial over maintenance requirement")

    @model_validator(mode="after")
    def _some_weight(self) -> SpanParameters:
        if sum(self.delta_weights) <= 0.0:
            raise ValueError("delta_weights with a positive sum")
        return self

    @property
    def steps(self) -> tuple[float, float, float, float]:
        """Sizes of the price moves in scan ranges: none, a third, two thirds, the whole range."""
        return (0.0, 1 / 3, 2 / 3, 1.0) if self.thirds == "exact" else (0.0, 0.333, 0.667, 1.0)

    def scenarios(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Price moves, volatility moves (both in scan ranges) and cover of the 16 scenarios, float64[16] each."""
        price = [np.sign(sign) * self.steps[abs(sign)] for sign in _SIGNS]
        price += [self.extreme_multiplier, -self.extreme_multiplier]
        volatility = [1.0 if s % 2 == 0 else -1.0 for s in range(SCENARIOS - 2)] + [0.0, 0.0]
        cover = [1.0] * (SCENARIOS - 2) + [self.extreme_cover] * 2
        return np.array(price), np.array(volatility), np.array(cover)

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Price nodes of composite delta in scan ranges and their weights (normalised to one), float64[7] each."""
        steps, weights = self.steps, self.delta_weights
        moves = [0.0] + [sign * steps[i] for i in (1, 2, 3) for sign in (1, -1)]
        found = np.array([weights[0]] + [weights[i] for i in (1, 2, 3) for _ in (1, -1)])
        return np.array(moves), found / found.sum()

    def names(self) -> tuple[str, ...]:
        """A name per scenario."""
        labels = {0: "0", 1: "1/3", 2: "2/3", 3: "1"}
        signs: list[Any] = [("+" if i > 0 else "-" if i < 0 else "") + labels[abs(i)] for i in _SIGNS]
        named = [f"price {move}, volatility {'+' if s % 2 == 0 else '-'}" for s, move in enumerate(signs)]
        extreme = f"{self.extreme_multiplier:g} (x {self.extreme_cover:g})"
        return (*named, f"price +{extreme}", f"price -{extreme}")
