"""What does a margin rule that reacts to volatility do to a fall? Arms that share one history up to the event.

Every market runs under one fixed rate until the event, with open interest seeded seven hours before it. There it is
forked. In the *reactive* arms the rate then is the fixed one times ``clip(sigma / sigma_ref, 0.5, 4)``, sigma an EWMA
of returns of the mark and sigma_ref its own mean on that seed before the fork. Each has a companion at equal cost: a
fixed rate again, but from the event on at the level that the reactive arm had on average, so that what is left between
the two is the timing of margin, not its level. A placebo is forked into the rule that was in force anyway.

A history is run twice: the first pass measures sigma_ref, the second has the rules with their bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.events import EventBase, VolatilityEvent
from experiments.measures import Clock, Moment, incidence, moment, outcomes
from experiments.scenario import Scenario
from experiments.statistics import incidence_summary, paired_difference, paired_summary
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.setups import minutes, sale, seeding, with_events, with_margin

if TYPE_CHECKING:
    from sim.market import Market

INITIAL, MAINTENANCE = 0.04, 0.02
LEVERAGE = (3.0, 25.0)
SEEDED, EVENT, WINDOW = 300, 720, 480  # minutes after burn-in, after burn-in, after the event
LOW, HIGH = 0.5, 4.0  # bounds of sigma / sigma_ref
SALE, TURBULENCE = "sale", "turbulence"
STATIC, PLACEBO, LEVEL = "static", "placebo", "level of "
_QUANTILE = 2.3263478740408408  # of the first pass, 99 %; any would do


@dataclass(frozen=True)
class ReactiveRule:
    """A rate that follows volatility.

    Attributes:
        label: names the arm.
        half_life_minutes: of the EWMA's weights.
        sample_minutes: between samples of the mark, and between updates of the rate.
    """

    label: str
    half_life_minutes: float
    sample_minutes: float

    def params(self, quantile: float = _QUANTILE, initial: float = INITIAL, bounded: bool = False) -> dict[str, Any]:
        """Parameters of the regime ``dynamic``.

        Args:
            quantile: multiple of sigma that is the initial rate.
            initial: initial rate at the start, which says what sigma is there.
            bounded: with floor and cap.
        """
        every = f"{self.sample_minutes:g}min"
        bounds = {"floor": LOW * INITIAL, "cap": HIGH * INITIAL} if bounded else {}
        return {
            "regime": "dynamic", "half_life": f"{self.half_life_minutes:g}min", "sample_interval": every,
            "update_interval": every, "horizon": "1d", "quantile": quantile, "initial_rate": min(initial, 1.0),
            "maintenance_ratio": MAINTENANCE / INITIAL, **bounds,
        }  # fmt: skip


RULES = (
    ReactiveRule("fast_1min", 11.2, 1.0),  # lambda .94 per minute
    ReactiveRule("slow_1min", 69.0, 1.0),  # lambda .99 per minute
    ReactiveRule("fast_10min", 11.2, 10.0),
    ReactiveRule("slow_10min", 69.0, 10.0),
)
"""Two memories, each with one-minute returns, as the prototype had them, and with ten-minute returns."""


@dataclass(frozen=True)
class ForkedTask:
    """One seed and one event, picklable.

    Attributes:
        scenario: under the fixed rate, with the event.
        seed: of the run.
        event: its name.
        rules: the arms.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seed: int
    event: str
    rules: tuple[ReactiveRule, ...]
    check: bool = False


@dataclass(frozen=True)
class ForkedMargin:
    """What is measured.

    Attributes:
        scenario: a scenario that seeds open interest before a forced sale.
        seeds: paired seeds.
        events: ``sale``, ``turbulence`` (volatility of the value x3 for four hours), or both.
        rules: reactive rules, with distinct labels.
        depth_multiple: open interest seeded over bid lots within 5 %; the scenario's own if None.
        factor: of volatility in the turbulence.
        hours: it lasts.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    events: tuple[str, ...] = (SALE, TURBULENCE)
    rules: tuple[ReactiveRule, ...] = RULES
    depth_multiple: float | None = None
    factor: float = 3.0
    hours: float = 4.0
    check: bool = False

    def setup(self, event: str) -> Scenario:
        """The scenario with one of the events, under the fixed rate.

        Raises:
            ConfigError: the scenario seeds no open interest, or sells nothing.
        """
        base = self.scenario
        given: dict[str, Any] = {"leverage_low": LEVERAGE[0], "leverage_high": LEVERAGE[1]}
        if self.depth_multiple is not None:
            given["per_bid_depth"] = self.depth_multiple
        seeded = seeding(base).model_copy(update=given)
        shock: EventBase = sale(base)
        if event == TURBULENCE:
            lasts = minutes(base, 60.0 * self.hours)
            shock = VolatilityEvent(
                name=TURBULENCE, kind="volatility", at_step=0, factor=self.factor, duration_steps=lasts
            )
        first = base.market.burn_in
        at, seeded_at = first + minutes(base, EVENT), first + minutes(base, SEEDED)
        steps = at + minutes(base, WINDOW)
        changed = with_events(base, [(seeded, seeded_at), (shock, at)], event=shock.name, steps=steps)
        return with_margin(changed, STATIC, {"initial": INITIAL, "maintenance": MAINTENANCE}, {})

    def units(self) -> list[jobs.Unit]:
        """One unit per event and seed."""
        found = []
        for event in self.events:
            scenario = self.setup(event)
            name = str(scenario.measure.event)
            for seed in self.seeds:
                task = ForkedTask(scenario, seed, name, self.rules, self.check)
                found.append(jobs.Unit(jobs.safe_key(event, "seed", seed), task))
        return found

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        return {
            "command": "forked margin",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "seeds": list(self.seeds),
            "options": {
                "events": list(self.events), "rules": [rule.params(bounded=True) for rule in self.rules],
                "depth_multiple": self.depth_multiple, "factor": self.factor, "hours": self.hours,
            },
            "code": code_hash(),
        }  # fmt: skip


def forked(task: ForkedTask) -> jobs.UnitResult:
    """One seed and one event: every arm's outcomes."""
    began = time.perf_counter()
    event, last = task.scenario.event_step(task.event), task.scenario.steps
    plain_rules = {rule.label: rule.params() for rule in task.rules}
    first = _to_event(task, plain_rules, event)
    means = first.mean_initial_rates()
    first.close()
    # sigma_ref is the mean of sigma, so the rate's mean before the fork is the fixed rate, bounds left aside
    ratio = {label: INITIAL / means[label] for label in plain_rules}
    bounded = {
        rule.label: rule.params(_QUANTILE * ratio[rule.label], INITIAL * ratio[rule.label], bounded=True)
        for rule in task.rules
    }
    base = _to_event(task, bounded, event)
    before = base.mean_initial_rates()
    at_event = moment(base)
    records = []
    arms = [(STATIC, "", 1.0), (STATIC, PLACEBO, 1.0), *((rule.label, "", 1.0) for rule in task.rules)]
    for regime, arm, _ in arms:
        market = base.fork(margin=None if regime == STATIC else regime, scale_to_mean=False)
        found = _arm(task, market, at_event, event, regime, arm)
        found["mean_rate_before"] = before[regime]
        records.append(found)
        if regime == STATIC:
            continue
        market = base.fork()
        market.state.model_scale[0] = found["measures"]["mean_initial_rate"] / INITIAL
        records.append(_arm(task, market, at_event, event, LEVEL + regime, ""))
    base.close()
    name = TURBULENCE if task.event == TURBULENCE else SALE
    for record in records:
        record["event"] = name
    records[0]["wall_seconds"] = time.perf_counter() - began
    if any(record["steps"] != last for record in records):
        raise AssertionError("an arm did not reach the end of the window")
    return jobs.UnitResult(records)


def _to_event(task: ForkedTask, regimes: Mapping[str, Mapping[str, Any]], event: int) -> Market:
    scenario = task.scenario
    scenario = with_margin(scenario, STATIC, scenario.margin.params, regimes)
    market = build.market(scenario, task.seed, shadows=list(regimes))
    run.advance(market, scenario.market.burn_in, scenario.steps, check=task.check)
    market.reset_means()
    run.advance(market, event, scenario.steps, check=task.check)
    return market


def _arm(task: ForkedTask, market: Market, at_event: Moment, event: int, regime: str, arm: str) -> dict[str, Any]:
    scenario = task.scenario
    run.advance(market, scenario.steps, scenario.steps, check=task.check)
    clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
    found = outcomes(market.steps_table(), clock, start=event, end=scenario.steps, at_event=at_event)
    names = [spec.name for spec in scenario.populations]
    record = {
        "regime": regime, "seed": task.seed, "arm": arm, "steps": int(market.tick), "measures": found,
        "incidence": incidence(market.accounts_table(), at_event.accounts, names, found["open_interest_event"]),
        "results_hash": market.results_hash(),
    }  # fmt: skip
    market.close()
    return record


def measure(
    study: ForkedMargin,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the study.

    Returns:
        Plain data: by event the paired summary of all arms against the fixed rate, each reactive arm against its
        companion at equal cost, who paid, and whether the placebo was the same to the byte.
    """
    units = study.units()
    runs = jobs.perform(units, forked, engine(workers), folder, on_done)
    result = plain(
        {
            "scenario": study.scenario.name,
            "seeds": study.seeds,
            "events": {event: summary(study, [r for r in runs if r["event"] == event]) for event in study.events},
            "results_hash": _hash(runs),
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def _hash(runs: Sequence[Mapping[str, Any]]) -> str:
    return jobs.hash_of({**r, "arm": f"{r['event']} {r['arm']}".strip()} for r in runs if r["arm"] != PLACEBO)


def summary(study: ForkedMargin, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One event's arms."""
    labels = [rule.label for rule in study.rules]
    arms = [STATIC, *labels, *(LEVEL + label for label in labels)]
    by = {arm: [r for r in runs if r["regime"] == arm and not r["arm"]] for arm in arms}
    placebo = [r for r in runs if r["arm"] == PLACEBO]
    columns = {arm: _columns(found) for arm, found in by.items()}
    populations = {
        arm: {
            name: {
                quantity: np.array([r["incidence"][name][quantity] for r in found], float)
                for quantity in found[0]["incidence"][name]
            }
            for name in (found[0]["incidence"] if found else ())
        }
        for arm, found in by.items()
    }
    same = [r["results_hash"] for r in by[STATIC]] == [r["results_hash"] for r in placebo]
    return {
        **paired_summary(columns, STATIC, _columns(placebo)),
        "equal_cost": {
            label: {
                name: paired_difference(columns[label][name], columns[LEVEL + label][name])
                for name in ("drawdown", "liquidated_leveraged_share", "bad_debt_bp", "mean_initial_rate")
            }
            for label in labels
        },
        "mean_rate_before": {label: float(np.mean([r["mean_rate_before"] for r in by[label]])) for label in labels},
        "incidence": incidence_summary(populations),
        "placebo_identical": same,
    }


def _columns(runs: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    names = list(dict.fromkeys(name for r in runs for name in r["measures"]))
    return {
        name: np.array([np.nan if r["measures"][name] is None else r["measures"][name] for r in runs], float)
        for name in names
    }
