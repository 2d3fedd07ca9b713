"""Factors by which every rule costs what the fixed rate costs: one for each rule, found on pilot seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

from experiments import jobs, run
from experiments.engines import engine
from experiments.measures import Clock, outcomes
from experiments.studies.dynamic_vs_static.arms import WholeTask, arm_of, to_event, whole
from experiments.studies.dynamic_vs_static.design import Design

if TYPE_CHECKING:
    from sim.market import Market

TOLERANCE = 0.01
"""Of the mean rate on the pilot seeds, relative: near enough."""
_TRIES = 16

Cost = Callable[[str, float], float]
"""Mean initial rate over the window and the pilot seeds, by rule and factor."""


def factors(design: Design, workers: int = 1, said: Callable[[str], None] | None = None) -> dict[str, dict[str, float]]:
    """The factor on every rule's rates at which its mean initial rate over the window is the baseline's.

    In a fork the factor is on top of that of equal margin at the fork.

    Args:
        design: part of the study, with its pilot seeds.
        workers: processes, for whole runs.
        said: told a line about each rule.

    Returns:
        Rule -> ``factor``, ``residual`` (relative distance of the mean rate that is left on the pilot seeds) and
        ``tries``.
    """
    found = {}
    with _whole(design, workers) if design.fork_at is None else _forked(design) as cost:
        target = cost(design.baseline, 1.0)
        for rule in design.rules:
            found[rule] = solve(lambda factor, rule=rule: cost(rule, factor) / target)  # type: ignore[misc]
            if said is not None:
                said(f"{rule}: factor {found[rule]['factor']:.4g}, residual {100 * found[rule]['residual']:+.2f} %")
    return found


@contextmanager
def _whole(design: Design, workers: int) -> Iterator[Cost]:
    def cost(rule: str, factor: float) -> float:
        tasks = [WholeTask(design.scenario, seed, rule, factor) for seed in design.pilot]
        units = [jobs.Unit(jobs.safe_key("seed", task.seed), task) for task in tasks]
        runs = jobs.perform(units, whole, engine(workers))
        return float(np.mean([r["measures"]["mean_initial_rate"] for r in runs]))

    yield cost


@contextmanager
def _forked(design: Design) -> Iterator[Cost]:
    """Markets at the event are kept, so that a try is no more than a window per seed."""
    scenario, event = design.scenario, str(design.fork_at)
    start = scenario.event_step(event)
    last = run.last_step(scenario, start)
    clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
    bases: list[Market] = []

    def cost(rule: str, factor: float) -> float:
        rates = []
        for base in bases:
            market = arm_of(base, None if rule == design.baseline else rule, factor)
            run.advance(market, last, last)
            rates.append(outcomes(market.steps_table(), clock, start=start, end=last)["mean_initial_rate"])
            market.close()
        return float(np.mean(rates))

    try:
        bases += [to_event(scenario, seed, design.baseline, list(design.rules), event) for seed in design.pilot]
        yield cost
    finally:
        for base in bases:
            base.close()


def solve(relative: Callable[[float], float]) -> dict[str, float]:
    """The factor at which a cost, relative to the wanted one, is 1.

    A rule's rates feed back on the prices they are made of, so steps in proportion need not settle: they bracket the
    factor, and Brent's method closes in on it. The try that came nearest is taken.

    Args:
        relative: cost over wanted cost at a factor; rises with it.

    Examples:
        >>> 0.495 < solve(lambda factor: (2.0 * factor) ** 1.5)["factor"] < 0.505
        True
    """
    tried: dict[float, float] = {}

    def excess(log_factor: float) -> float:
        factor = float(f"{np.exp(log_factor):.5g}")
        if factor not in tried:
            tried[factor] = float(np.log(relative(factor)))
        # near enough is a root, so that the search ends there
        return 0.0 if abs(tried[factor]) <= TOLERANCE else tried[factor]

    at, value = 0.0, excess(0.0)
    stride = 1.0
    while value != 0.0 and len(tried) < _TRIES:
        beyond = at - stride * value
        there = excess(beyond)
        if there * value <= 0.0:
            optimize.brentq(excess, at, beyond, xtol=1e-4, maxiter=max(_TRIES - len(tried), 1), disp=False)
            break
        at, value, stride = beyond, there, 1.25
    factor = min(tried, key=lambda one: abs(tried[one]))
    return {"factor": factor, "residual": float(np.expm1(tried[factor])), "tries": float(len(tried))}
