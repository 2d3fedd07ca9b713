"""The runs of the study: whole runs under a scaled rule, and one history forked into every rule at equal cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments import build, jobs, run
from experiments.measures import Clock, Moment, incidence, moment, outcomes
from experiments.scenario import Scenario
from experiments.studies.dynamic_vs_static.reactions import Horizons, reactions

if TYPE_CHECKING:
    from sim.market import Market

AT_FORK, THROUGH = "at the fork", "through the window"
"""Equal margin at the fork, on every seed; equal mean margin through the window, on average over pilot seeds."""


@dataclass(frozen=True)
class WholeTask:
    """One whole run, picklable.

    Attributes:
        scenario: what to run.
        seed: of the run.
        regime: label of the rule.
        scale: factor on its rates.
        arm: ``""`` or ``placebo``.
    """

    scenario: Scenario
    seed: int
    regime: str
    scale: float
    arm: str = ""


@dataclass(frozen=True)
class ForkedTask:
    """One seed, run to the event under the baseline and forked into every rule, picklable.

    Attributes:
        scenario: what to run.
        seed: of the run.
        event: where the arms part.
        regimes: labels, the baseline first.
        scales: rule -> factor on top of that of equal margin at the fork; every rule has an arm with it and an arm
            without.
    """

    scenario: Scenario
    seed: int
    event: str
    regimes: tuple[str, ...]
    scales: Mapping[str, float]


def horizons_of(scenario: Scenario, forked: bool) -> Horizons:
    """Rises over 1 and 30 days and losses over two days; in a forked window of hours over 10, 60 and 60 minutes."""
    if not forked:
        day = scenario.market.steps_per_day
        return Horizons(short=day, long=30 * day, risk=2 * day, every=day)
    minute = max(1, round(60.0 / scenario.market.dt_seconds))
    return Horizons(short=10 * minute, long=60 * minute, risk=60 * minute, every=10 * minute)


def whole(task: WholeTask) -> jobs.UnitResult:
    """One run from start to end."""
    began = time.perf_counter()
    scenario = task.scenario
    market = build.market(scenario, task.seed, task.regime)
    market.state.model_scale[0] = task.scale
    at_event = None
    if scenario.measure.event is not None:
        run.advance(market, scenario.event_step(scenario.measure.event), scenario.steps)
        at_event = moment(market)
    run.advance(market, scenario.steps, scenario.steps)
    record = _record(
        scenario, market, (task.seed, task.regime, task.arm), at_event, start=scenario.market.burn_in,
        end=scenario.steps, forked=False,
    )  # fmt: skip
    record |= {"scale": task.scale, "wall_seconds": time.perf_counter() - began}
    market.close()
    return jobs.UnitResult([record])


def forked(task: ForkedTask) -> jobs.UnitResult:
    """One seed with all its arms."""
    began = time.perf_counter()
    scenario = task.scenario
    baseline, *rules = task.regimes
    base = to_event(scenario, task.seed, baseline, rules, task.event)
    at_event = moment(base)
    event, last = scenario.event_step(task.event), run.last_step(scenario, scenario.event_step(task.event))
    arms = [(baseline, "", 1.0), (baseline, run.PLACEBO, 1.0)]
    arms += [(rule, AT_FORK, 1.0) for rule in rules]
    arms += [(rule, THROUGH, task.scales[rule]) for rule in rules]
    records = []
    for label, arm, factor in arms:
        market = arm_of(base, label if label != baseline else None, factor)
        run.advance(market, last, last)
        record = _record(scenario, market, (task.seed, label, arm), at_event, start=event, end=last, forked=True)
        record["scale"] = build.scale(market)
        records.append(record)
        market.close()
    base.close()
    records[0]["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult(records)


def to_event(scenario: Scenario, seed: int, baseline: str, rules: list[str], event: str) -> Market:
    """A market at the event, under the baseline, the rules beside it.

    Forks scale a rule to the baseline's mean rate since the last reset. That is one step before the event, so the rates
    are equal there: over a longer time the means would be equal and the rates not, and a rule would jump at the fork.
    """
    market = build.market(scenario, seed, baseline, shadows=rules)
    run.advance(market, scenario.event_step(event) - 1, scenario.steps)
    market.reset_means()
    run.advance(market, scenario.event_step(event), scenario.steps)
    return market


def arm_of(base: Market, rule: str | None, factor: float) -> Market:
    """A fork under a rule whose rate starts at ``factor`` times the baseline's; None goes on as it was."""
    market = base.fork(margin=rule, scale_to_mean=rule is not None)
    if rule is not None:
        market.state.model_scale[0] *= factor
    return market


def _record(
    scenario: Scenario,
    market: Market,
    who: tuple[int, str, str],
    at_event: Moment | None,
    *,
    start: int,
    end: int,
    forked: bool,
) -> dict[str, Any]:
    seed, regime, arm = who
    steps = market.steps_table()
    clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
    found = outcomes(steps, clock, start=start, end=end, at_event=at_event)
    # the rate at a fork is still the baseline's
    found |= reactions(steps, horizons_of(scenario, forked), start=start + 1 if forked else start, end=end)
    names = [spec.name for spec in scenario.populations]
    before = at_event.accounts if forked and at_event is not None else None
    reference = found.get("open_interest_event", found["peak_open_interest"])
    return {
        "regime": regime, "seed": seed, "arm": arm, "steps": int(market.tick), "measures": found,
        "incidence": incidence(market.accounts_table(), before, names, reference),
        "results_hash": market.results_hash(),
    }  # fmt: skip
