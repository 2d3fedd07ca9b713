"""The trend followers' decision rule as plain Mesa agents, for comparison of speed.

The rule of :mod:`agents.leveraged` (``follow``) as one would write it with Mesa alone: an object per trader, its state
in attributes, a ``step`` method that is called for every agent in every step. There is no exchange here: orders are
filled in full at the price of a given path and the path does not react, so the figure is an upper bound for a model of
this kind that would also have to match, margin and liquidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log, sqrt

import mesa

VARIANCE_WEIGHT = 0.01  # of the newest squared return in the path's own volatility


@dataclass(frozen=True, slots=True)
class Rule:
    """Parameters of the rule, as in the scenario; initial margin is a fixed rate."""

    period: int = 30
    leverage_low: float = 2.0
    leverage_high: float = 50.0
    horizon_low: int = 60
    horizon_high: int = 2700
    contrarian_share: float = 0.25
    bias: float = 0.25
    open_z: float = 0.8
    exit_z: float = 1.0
    attention: float = 0.05
    headroom: float = 0.9
    slippage: float = 0.003
    rate_initial: float = 0.02
    capital_lots: float = 2.0


class PlainFollower(mesa.Agent):
    """Opens with leverage when a move is strong for its horizon, holds, leaves when the trend has turned."""

    def __init__(self, model: PlainMarket) -> None:
        """Draw leverage, horizon, direction and phase."""
        super().__init__(model)
        rule, draw = model.rule, model.random.random
        self.leverage = rule.leverage_low * (rule.leverage_high / rule.leverage_low) ** draw()
        self.horizon = round(rule.horizon_low * (rule.horizon_high / rule.horizon_low) ** draw())
        self.direction = -1 if draw() < rule.contrarian_share else 1
        self.phase = int(draw() * rule.period)
        self.cash = rule.capital_lots * model.price
        self.lots = 0
        self.entry = 0.0

    @property
    def equity(self) -> float:
        """Cash and unrealised profit."""
        return self.cash + self.lots * (self.model.price - self.entry)

    def step(self) -> None:
        """Decide, when it is this trader's turn."""
        market, rule = self.model, self.model.rule
        if (market.tick + self.phase) % rule.period:
            return
        if not self.lots and self.random.random() >= rule.attention:
            return
        move = market.log_price - market.log_price_before(self.horizon)
        signal = self.direction * move / (market.sigma * sqrt(self.horizon)) + rule.bias
        if self.lots:
            if (signal if self.lots > 0 else -signal) < -rule.exit_z:
                self.cash = self.equity
                self.lots = 0
        elif abs(signal) > rule.open_z:
            leverage = min(self.leverage, rule.headroom / rule.rate_initial, 1 / (rule.rate_initial + rule.slippage))
            size = int(leverage * max(self.equity, 0.0) / market.price)
            self.lots = size if signal > 0 else -size
            self.entry = market.price


class PlainMarket(mesa.Model):
    """A given price path and traders who look at it.

    Args:
        path: prices by step; read again from the start when it ends.
        count: number of traders.
        rule: parameters.
        seed: of the traders' draws.
    """

    def __init__(self, path: Sequence[float], count: int, rule: Rule, seed: int = 1) -> None:
        super().__init__(rng=int(seed))
        self.rule = rule
        self._logs = [log(price) for price in path]
        self._sigmas = _volatility(self._logs)
        self.tick = 0
        self._look()
        for _ in range(count):
            PlainFollower(self)

    def log_price_before(self, steps: int) -> float:
        """Logarithm of the price some steps ago; the first one before the start."""
        return self._logs[max(self.tick - steps, 0) % len(self._logs)]

    def step(self) -> None:
        """Every trader decides once."""
        self.agents.do("step")
        self.tick += 1
        self._look()

    def _look(self) -> None:
        place = self.tick % len(self._logs)
        self.log_price, self.sigma = self._logs[place], self._sigmas[place]
        self.price = exp(self.log_price)


def _volatility(logs: Sequence[float]) -> list[float]:
    """Volatility per step by exponential weights, started at the path's mean."""
    moves = [after - before for before, after in pairwise(logs)]
    variance = max(sum(move * move for move in moves) / max(len(moves), 1), 1e-12)
    found = [sqrt(variance)]
    for move in moves:
        variance += VARIANCE_WEIGHT * (move * move - variance)
        found.append(sqrt(variance))
    return found
