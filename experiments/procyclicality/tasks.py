"""What is run: whole runs, twins with a step of volatility, twins with margins frozen. One task is one seed's part."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, jobs, run
from experiments.measures import Clock, Moment, moment, outcomes
from experiments.procyclicality.measures import call_share, coverage, lead_lag, peak_lag, reaction
from experiments.procyclicality.unit import Samples, unit_lots
from experiments.scenario import Scenario

if TYPE_CHECKING:
    from sim.market import Market

FROZEN, PLACEBO, AGAIN = "frozen", "placebo", "frozen again"
WHOLE, STEP, FORK = "whole", "step", "fork"
PATH_POINTS = 60
"""Samples of a path that are kept for figures."""


@dataclass(frozen=True)
class Task:
    """One seed's part of the study, picklable.

    Attributes:
        kind: ``"whole"``, ``"step"`` or ``"fork"``.
        scenario: what to run.
        seed: of the run.
        regimes: labels; one, but for a fork that shares its history.
        baseline: regime of the shared history of a fork; the regime itself where each has its own.
        sample: steps between samples.
        horizons: samples by name.
        period: samples of the margin period of risk.
        window: samples of realised volatility.
        unit: lots of the unit portfolio.
        event: name of the event to fork at.
        step_at: step of the volatility step.
        step_steps: steps that the twin is watched for.
        factor: of volatility in the step.
        plugins: files to load first.
        check: verify every invariant at every step.
    """

    kind: str
    scenario: Scenario
    seed: int
    regimes: tuple[str, ...]
    baseline: str
    sample: int
    horizons: tuple[tuple[str, int], ...]
    period: int
    window: int
    unit: int
    event: str = ""
    step_at: int = 0
    step_steps: int = 0
    factor: float = 2.0
    arm: str = ""
    plugins: tuple[str, ...] = ()
    check: bool = False


def perform(task: Task) -> jobs.UnitResult:
    """Carry out a task."""
    began = time.perf_counter()
    run.load_plugins(task.plugins)
    records = {WHOLE: whole, STEP: step_twin, FORK: frozen_twins}[task.kind](task)
    for record in records:
        record["kind"] = task.kind
    records[0]["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult(records)


def whole(task: Task) -> list[dict[str, Any]]:
    """One run under one regime: what the unit portfolio had to hold, and the outcomes of the market."""
    scenario, (regime,) = task.scenario, task.regimes
    market = build.market(scenario, task.seed, regime)
    at_event = None
    first = scenario.market.burn_in
    run.advance(market, first, scenario.steps, check=task.check)
    seen = Samples(unit_lots(market, task.unit))
    event = scenario.measure.event
    if event is not None and scenario.event_steps[event] > first:
        at = scenario.event_steps[event]
        stop = first + (at - first) // task.sample * task.sample
        seen.along(market, stop, task.sample, scenario.steps, check=task.check)
        run.advance(market, at, scenario.steps, check=task.check)
        at_event = moment(market)
        _go_on(seen, market, task)
    else:
        seen.along(market, scenario.steps, task.sample, scenario.steps, check=task.check)
    table = market.steps_table()
    clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
    found = outcomes(table, clock, start=first, end=scenario.steps, at_event=at_event)
    horizons = dict(task.horizons)
    found |= reaction(seen.margin, horizons) | coverage(seen.margin, seen.log_price, task.period)
    called = _at(table, "call_amount", seen.step)
    for name, samples in horizons.items():
        found[f"call_share_{name}"] = call_share(seen.margin, seen.liquid, samples, seen.held)
        found[f"called_share_{name}"] = call_share(called, seen.liquid, samples)
    moved = lead_lag(seen.margin, seen.log_price, task.window)
    middle = len(moved["lags"]) // 2
    for other in ("volatility", "price"):
        found[f"correlation_{other}"] = float(moved[other][middle])
        found[f"lag_{other}_minutes"] = peak_lag(moved["lags"], moved[other]) * task.sample * clock.dt_seconds / 60.0
    record = {
        "regime": regime, "seed": task.seed, "arm": task.arm, "steps": int(market.tick), "measures": found,
        "lead_lag": {name: moved[name].tolist() for name in ("volatility", "price")},
        "lags_minutes": (moved["lags"] * task.sample * clock.dt_seconds / 60.0).tolist(),
        "results_hash": market.results_hash(),
    }  # fmt: skip
    market.close()
    return [record]


def _go_on(seen: Samples, market: Market, task: Task) -> None:
    """Keep sampling on the grid that began at the first sample."""
    steps = task.scenario.steps
    late = (market.tick - seen.step[0]) % task.sample
    if late:
        following = min(market.tick + task.sample - late, steps)
        run.advance(market, following, steps, check=task.check)
        if (market.tick - seen.step[0]) % task.sample:
            return
        seen.take(market)
    while market.tick < steps:
        run.advance(market, min(market.tick + task.sample, steps), steps, check=task.check)
        if (market.tick - seen.step[0]) % task.sample == 0:
            seen.take(market)


def _at(table: Any, column: str, steps: list[int]) -> np.ndarray:
    """A market-wide cumulative column at the last recorded step up to each of some steps, 0 before the first."""
    contracts = int(table["contract"].nunique())
    values, every = table[column].to_numpy()[::contracts], table["step"].to_numpy()[::contracts]
    rows = np.searchsorted(every, steps, side="right") - 1
    return np.where(rows >= 0, values[np.maximum(rows, 0)], 0).astype(float)


def step_twin(task: Task) -> list[dict[str, Any]]:
    """One seed under one regime, gone on with twice: as it was, and with the volatility of value multiplied.

    What the unit portfolio must hold in one is divided by what it must hold in the other.
    """
    from experiments.events import VolatilityEvent
    from experiments.studies.setups import with_events

    scenario, (regime,) = task.scenario, task.regimes
    until = task.step_at + task.step_steps
    base = build.market(scenario, task.seed, regime)
    run.advance(base, task.step_at, until, check=task.check)
    lots = unit_lots(base, task.unit)
    event = VolatilityEvent(
        name="step_of_volatility", kind="volatility", at_step=0, factor=task.factor, duration_steps=task.step_steps
    )
    timed = [(other, scenario.event_steps[other.name]) for other in scenario.events]
    changed = with_events(scenario, [*timed, (event, task.step_at)], event=scenario.measure.event, steps=scenario.steps)
    seen, hashes = {}, []
    for name in ("as it was", "stepped"):
        world = build.world(changed, task.seed) if name == "stepped" else None
        market = base.fork(world=world)
        seen[name] = Samples(lots)
        seen[name].along(market, until, task.sample, until, check=task.check, liquid=False)
        hashes.append((name, market.results_hash()))
        market.close()
    base.close()
    calm, stirred = seen["as it was"], seen["stepped"]
    moved = [float(np.sqrt(np.mean(np.diff(one.log_price) ** 2))) for one in (calm, stirred)]
    return [
        {
            "regime": regime, "seed": task.seed, "arm": STEP,
            "response": (np.log(stirred.margin) - np.log(calm.margin)).tolist(),
            "volatility_ratio": moved[1] / moved[0] if moved[0] > 0.0 else None,
            "results_hash": jobs.combined_hash(hashes),
        }
    ]  # fmt: skip


def frozen_twins(task: Task) -> list[dict[str, Any]]:
    """One seed run to the event; from there each regime live, and with margins frozen.

    With a shared history every arm goes on from the baseline's market, rates scaled to its mean initial margin before
    the event. The frozen twin keeps the live rule in shadow: what it would publish on a path that it does not move.
    The baseline is frozen twice, which must give the same to the byte.
    """
    scenario = task.scenario
    event = scenario.event_step(task.event)
    last = run.last_step(scenario, event)
    shared = len(task.regimes) > 1 or task.regimes[0] != task.baseline
    base = build.market(scenario, task.seed, task.baseline, shadows=_shadows(task))
    run.advance(base, min(scenario.market.burn_in, event), last, check=task.check)
    base.reset_means()
    run.advance(base, event, last, check=task.check)
    at_event = moment(base)
    lots = unit_lots(base, task.unit)
    records = []
    for regime in task.regimes:
        other = regime if regime != task.baseline else None
        arms = [("", False), (FROZEN, True)] + ([(AGAIN, True)] if other is None else [])
        for arm, frozen in arms:
            market = base.fork(margin=other, scale_to_mean=other is not None, frozen=frozen)
            record = _arm(task, market, at_event, last, lots, regime)
            records.append(record | {"arm": arm, "history": "shared" if shared else "own"})
            market.close()
    base.close()
    return records


def _shadows(task: Task) -> list[str]:
    """Regimes beside the baseline's own, and the baseline itself once more where its publisher can be in shadow."""
    from experiments.regimes import make

    compiled = make(task.scenario, task.baseline).publish_kernel is not None
    own = [task.baseline] if compiled else []
    return own + [label for label in task.regimes if label != task.baseline]


def _arm(task: Task, market: Market, at_event: Moment, last: int, lots: Any, regime: str) -> dict[str, Any]:
    """Run an arm to the end of the window; its outcomes, its price and margin along the way."""
    scenario = task.scenario
    event = at_event.step
    grid = np.unique(np.linspace(event, last, PATH_POINTS + 1).round().astype(int)).tolist()
    seen = Samples(lots)
    would = []
    slot = 1 + list(market.shadows).index(regime) if regime in market.shadows else None
    scale = float(market.state.model_scale[0])
    for step in grid:
        run.advance(market, step, last, check=task.check)
        seen.take(market, liquid=False)
        if slot is not None:
            held = lots != 0
            would.append(float(market.state.model_rates[slot, held, 0].mean()) / 2.0**32 * scale)
    clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
    found = outcomes(market.steps_table(), clock, start=event, end=last, at_event=at_event)
    margin = np.array(seen.margin)
    found["mean_margin"], found["peak_margin"] = float(margin.mean()), float(margin.max())
    found["margin_rise"] = float(margin.max() / margin[0] - 1.0)
    found["fall_at_end"] = -float(np.expm1(seen.log_price[-1] - seen.log_price[0]))
    return {
        "regime": regime, "seed": task.seed, "steps": int(market.tick), "measures": found,
        "path": {
            "minutes": [(step - event) * clock.dt_seconds / 60.0 for step in grid],
            "log_price": (np.array(seen.log_price) - seen.log_price[0]).tolist(),
            "margin": seen.margin,
            "would": would or None,
        },
        "results_hash": market.results_hash(),
    }  # fmt: skip
