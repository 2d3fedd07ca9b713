"""Speed of the whole market, and of one of its decision rules written as plain Mesa agents.

A round builds the market anew (not timed) and runs the whole scenario: the seeding of open interest, the shock and what
follows are in the figure. The book is that of the scenario whatever the number of leveraged traders, so each attends to
it more rarely the more they are, and together they open as many positions as a thousand do; otherwise the figure would
be that of a market whose book is swept in every step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from experiments.bench.calibration import Benchmark, Work

if TYPE_CHECKING:
    from sim.market import Market

SCENARIO = "shock"
TRADERS = (1_000, 10_000, 100_000)
STEPS_BY_STEP = 1_500
MESA_STEPS = {1_000: 300, 10_000: 30, 100_000: 3}


def market_of(traders: int, changes: Sequence[str] = ()) -> Market:
    """The scenario with so many leveraged traders, beside its other traders."""
    from agents.leveraged import TrendFollowerParams
    from experiments import build, scenario

    attention = TrendFollowerParams().attention * min(1.0, TRADERS[0] / traders)
    counts = [f"populations.leveraged.count={traders}", f"populations.leveraged.attention={attention}"]
    return build.market(scenario.load(SCENARIO, [*counts, *changes]), seed=1)


def _by_step(traders: int) -> Work:
    def work() -> tuple[float, float]:
        market = market_of(traders)
        steps = min(STEPS_BY_STEP, market.config.steps)
        start = time.perf_counter()
        for _ in range(steps):
            market.step()
        return steps, time.perf_counter() - start

    return work


def _by_advance(traders: int) -> Work:
    def work() -> tuple[float, float]:
        market = market_of(traders)
        steps = market.config.steps
        start = time.perf_counter()
        market.advance(steps)
        return steps, time.perf_counter() - start

    return work


def _plain_mesa(traders: int) -> Work:
    from experiments.bench.plain_mesa import PlainMarket, Rule

    path = market_of(TRADERS[0]).state.value[:, 0].tolist()
    market = PlainMarket(path, traders, Rule())
    steps = MESA_STEPS[traders]

    def work() -> tuple[float, float]:
        start = time.perf_counter()
        for _ in range(steps):
            market.step()
        return steps, time.perf_counter() - start

    return work


def benchmarks() -> list[Benchmark]:
    """Steps per second: by ``step()``, by ``advance(n)``, and of the plain Mesa agents beside them."""
    found = [Benchmark("market.step.1000", "steps/s", partial(_by_step, 1_000))]
    found += [Benchmark(f"market.advance.{n}", "steps/s", partial(_by_advance, n), rounds=5) for n in TRADERS]
    found += [Benchmark(f"mesa.followers.{n}", "steps/s", partial(_plain_mesa, n), rounds=5) for n in TRADERS]
    return found
