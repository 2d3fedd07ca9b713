"""Historical simulation of the whole portfolio: value at risk or expected shortfall over past returns.

Every contract is revalued under each joint return of the underlyings in a window, options in full; the requirement is
the quantile, or the mean of the tail, of the portfolio's own losses, so diversification is what the past shows.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field

from margin.durations import Duration, in_steps, in_whole_steps
from margin.grid_rule import AccountRisk, GridRule, losses, orders_of, own_loss
from margin.kernels.tail import moves_of_returns, scenario_returns
from margin.kernels.tail import tail as _tail_kernel
from margin.parameters import Parameters
from margin.revaluation import Terms, conversion_of, converted
from sim.contracts import ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import MarketView, PortfolioView, RiskParameters
from sim.kernels.state import RATE_ONE


class HistoricalPortfolioParameters(Parameters):
    """Parameters of :class:`HistoricalPortfolio`."""

    measure: Literal["var", "es"] = Field("es", description="value at risk, or expected shortfall")
    confidence: float = Field(0.99, gt=0.5, lt=1.0, description="of the measure")
    window: int = Field(500, ge=10, le=5000, description="scenarios: overlapping returns over the margin period")
    horizon: Duration = "2d"
    horizon_method: Literal["overlapping", "sqrt"] = Field(
        "overlapping", description="sums of successive returns, or one return times the square root of time"
    )
    sample_interval: Duration = "1d"
    filtered: bool = Field(False, description="rescale returns to current volatility (Hull and White 1998)")
    decay: float = Field(0.97, gt=0.0, lt=1.0, description="of the variance that filters")
    quantile: Literal["linear", "higher"] = Field(
        "linear", description="value at risk between two losses: interpolated, or the greater"
    )
    floor_move: float = Field(
        0.0, ge=0.0, lt=1.0, description="at least the loss when all prices move by this, 0: none"
    )
    initial_ratio: float = Field(1.0, ge=1.0, le=100.0, description="initial over maintenance requirement")


def tail_weights(params: HistoricalPortfolioParameters) -> np.ndarray:
    """Weights of the largest losses, greatest first, int64[K] in 2**-32, summing to one.

    With n scenarios and confidence a, value at risk lies at rank (n - 1)(1 - a) counted from zero, as a linearly
    interpolated sample quantile; expected shortfall is the mean of the n(1 - a) greatest losses, the last of them with
    the fraction that is left (Acerbi and Tasche 2002).
    """
    n = params.window
    beyond = round(1.0 - params.confidence, 12)
    if params.measure == "var":
        rank = round((n - 1) * beyond, 9)
        whole = math.floor(rank)
        part = rate_to_units(rank - whole) if params.quantile == "linear" else 0
        return np.array([0] * whole + [RATE_ONE - part, part], np.int64)
    count = max(round(n * beyond, 9), 1.0)  # fewer than one scenario in the tail: the greatest loss
    whole = math.floor(count)
    last = rate_to_units((count - whole) / count)
    each = [(RATE_ONE - last) // whole] * whole
    each[0] += RATE_ONE - last - sum(each)
    return np.array([*each, last], np.int64)


class HistoricalPortfolio(GridRule):
    """Historical-simulation margin; implied volatilities and time stand still in the scenarios."""

    Params = HistoricalPortfolioParameters

    def scenario_returns(self, market: MarketView, contracts: ContractTable) -> np.ndarray:
        """Joint returns over the margin period, float64[window, C], oldest first.

        A contract's own returns, an option's those of the first contract on its underlying that is none.

        Raises:
            ConfigError: the market does not remember as many.
        """
        params = self.params
        samples = max(in_steps(params.horizon, contracts) / in_steps(params.sample_interval, contracts), 1.0)
        span = max(round(samples), 1) if params.horizon_method == "overlapping" else 1
        needed, every = params.window + span - 1, in_whole_steps(params.sample_interval, contracts)
        try:
            returns = np.asarray(market.returns(needed, every), np.float64)
        except ValueError as error:
            allowed = f"a history of {needed} returns ({error})"
            raise ConfigError.of("margin.params.window", params.window, allowed) from error
        source = np.arange(len(contracts.names))
        for c in np.flatnonzero(contracts.is_option):
            same = np.flatnonzero((contracts.underlying == contracts.underlying[c]) & ~contracts.is_option)
            source[c] = same[0] if len(same) else c
        root = math.sqrt(samples / span)
        decay = params.decay if params.filtered else 0.0
        return np.asarray(scenario_returns(np.ascontiguousarray(returns[:, source]), span, decay, root))

    def arrays(self, market: MarketView, contracts: ContractTable) -> dict[str, np.ndarray]:
        """``profit`` [C, window (+ 2)], ``weight`` [K] of the largest losses, ``drawn`` [1], the scenarios ranked."""
        params, terms = self.params, Terms.of(contracts, market)
        move = moves_of_returns(terms.price, self.scenario_returns(market, contracts))
        if params.floor_move > 0.0:
            shock = terms.price[:, None] * np.array([params.floor_move, -params.floor_move])
            move = np.concatenate([move, shock], axis=1)
        return {
            "profit": terms.profits(move, np.zeros(move.shape), np.ones(move.shape[1]), 0.0),
            "weight": tail_weights(params),
            "drawn": np.array([params.window], np.int64),
            "factor": np.array([rate_to_units(params.initial_ratio)], np.int64),
        }

    def compiled(self, portfolio: PortfolioView, risk: RiskParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All accounts at once."""
        arrays, conversion = risk.arrays, conversion_of(portfolio)
        rows = np.ascontiguousarray(converted(arrays["profit"], conversion, up=False))
        initial, maintenance, left = _tail_kernel(
            *orders_of(portfolio), conversion, np.arange(len(rows)), rows.astype(np.float64), rows,
            int(arrays["drawn"][0]), arrays["weight"], int(arrays["factor"][0]),
            np.abs(rows).max(axis=1).astype(np.float64),
        )  # fmt: skip
        return initial, maintenance, left

    def account_risk(self, portfolio: PortfolioView, risk: RiskParameters, account: int) -> AccountRisk:
        """One account in plain integers: sort all losses, weigh the largest."""
        arrays, conversion = risk.arrays, conversion_of(portfolio)
        profit, drawn = converted(arrays["profit"], conversion, up=False), int(arrays["drawn"][0])
        members = list(range(len(profit)))

        def measure(found: list[int]) -> tuple[int, int]:
            ranked = sorted(found[:drawn], reverse=True)
            weights = arrays["weight"].tolist()
            tail = sum(-(-loss * weight // RATE_ONE) for loss, weight in zip(ranked, weights, strict=False))
            return max(tail, 0), max(tail, 0, *found[drawn:])

        held = losses(portfolio, profit, account, members, ordered=False)
        tail, floored = measure(held)
        _, with_orders = measure(losses(portfolio, profit, account, members, ordered=True))
        parts = {
            "expected_shortfall" if self.params.measure == "es" else "value_at_risk": tail,
            "floor": floored - tail,
        }
        own = own_loss(portfolio, account, conversion)
        return AccountRisk.of(parts, with_orders, own, int(arrays["factor"][0]), held)

    def scenario_names(self, risk: RiskParameters) -> tuple[str, ...]:
        """Past returns by age, newest 1, then the floor moves."""
        drawn = int(risk.arrays["drawn"][0])
        floors = ("all prices up", "all prices down") if self.params.floor_move > 0.0 else ()
        return (*(f"return {drawn - s}" for s in range(drawn)), *floors)
